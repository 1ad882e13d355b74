"""Check of the configured Prefect server: reachable, of a version that fits, with which endpoint limits."""

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_CLIENT_MAX_RETRIES,
    get_current_settings,
    temporary_settings,
)

from pareta_cli.checks import Check
from tasks import limit_name

TIMEOUT_S = 10
"""Seconds for one request. Raising it waits longer for a server that does not answer."""
MAX_NAMED = 5
NO_SERVER = "not configured: commands run in this process, without schedules, triggers and limits over several workers"


def check_prefect() -> Check:
    """Return whether the Prefect server of PREFECT_API_URL can be used."""
    url = get_current_settings().api.url
    if url is None:
        return Check("prefect", True, NO_SERVER)
    settings = {PREFECT_API_REQUEST_TIMEOUT: TIMEOUT_S, PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(settings), get_client(sync_client=True) as client:
        if (problem := client.api_healthcheck()) is not None:
            fix = "prefect config view  # then start that server, or unset PREFECT_API_URL"
            return Check("prefect", False, f"{url} does not answer: {problem or type(problem).__name__}", fix)
        theirs, ours = client.api_version(), client.client_version()
        if _minor(theirs) < _minor(ours):
            text = f"{url}: server {theirs} is older than the client {ours}"
            return Check("prefect", False, text, f"pip install prefect=={ours}  # on the server, then restart it")
        return Check("prefect", True, f"{url}: version {theirs}; {_limits(client)}")


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _limits(client: SyncPrefectClient) -> str:
    prefix = limit_name("")
    limits = [each for each in client.read_global_concurrency_limits(limit=200) if each.name.startswith(prefix)]
    shown = [f"{each.name.removeprefix(prefix)} {each.active_slots} of {each.limit} slots" for each in limits]
    if not shown:
        return "no endpoint limits (set-up --limit MODEL=SLOTS makes one)"
    more = f" and {len(shown) - MAX_NAMED} more" if len(shown) > MAX_NAMED else ""
    return f"endpoint limits: {', '.join(shown[:MAX_NAMED])}{more}"
