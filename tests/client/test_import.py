"""What importing the client costs, and that every public name can be had."""

import subprocess
import sys

import pytest

import pareta_client


@pytest.mark.parametrize("name", dir(pareta_client))
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(pareta_client, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="No pareta_client attribute Paretto"):
        pareta_client.Paretto  # type: ignore[attr-defined] # noqa: B018


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import pareta_client", "httpx"),
        ("from pareta_client import ParetaError, RateLimitError, Verdict, verdict_of", "httpx"),
        ("from pareta_client import AsyncPareta, Pareta", "aiohttp"),
        ("from pareta_client import AsyncPareta, Pareta", "pareta_client.models.evals"),
        ("from pareta_client import AsyncPareta, Pareta", "pandas"),
        ("from pareta_client import AsyncPareta, Pareta", "prefect"),
    ],
)
def test_importing_loads_nothing_that_is_not_needed_yet(statement: str, unwanted: str) -> None:
    program = f"{statement}\nimport sys\nassert {unwanted!r} not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
