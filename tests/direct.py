"""Settings of Prefect without an API, for flows that run without a server."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.context import SettingsContext, get_settings_context
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, Settings, temporary_settings

# Settings, and their copy without an API, by the id of the first. Prefect takes 0.2 s to make a copy.
_COPIES: dict[int, tuple[Settings, Settings]] = {}


@contextmanager
def without_a_server() -> Iterator[None]:
    """Run the body without an API and without the embedded server: every use of the API is an error."""
    context = get_settings_context()
    key = id(context.settings)
    if key not in _COPIES:
        with temporary_settings({PREFECT_API_URL: None, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}) as copy:
            _COPIES[key] = (context.settings, copy)
    with SettingsContext(profile=context.profile, settings=_COPIES[key][1]):
        yield
