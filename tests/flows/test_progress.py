"""Progress in the Prefect UI: what is shown while a batch runs, and a server that is away meanwhile."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect import flow

from pareta_sandbox.testing import Sandbox
from tasks import progress
from tasks.resources import shared_session
from tests.flows.datasets import batch


async def test_a_server_that_is_away_for_a_while_is_shown_the_progress_again_when_it_is_back(
    pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[bool] = []

    async def away_at_first(artifact: Any, share: float, description: str) -> None:
        shown.append(len(shown) >= 2)
        if not shown[-1]:
            raise httpx.ConnectError("nobody there")

    monkeypatch.setattr("prefect.artifacts.aupdate_progress_artifact", away_at_first)

    @flow
    async def open_sending_session() -> None:
        async with (
            shared_session(batch(tmp_path)) as session,
            progress.show_progress(session, 0.01),
            asyncio.timeout(30),
        ):
            while True not in shown:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)

    await open_sending_session()
    assert shown[:3] == [False, False, True]
