"""The credentials block: found by name, the environment as fallback, its key nowhere to be read."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prefect import get_client

from flows.complete_batch import complete_batch
from pareta_client import ParetaError
from pareta_sandbox.testing import Sandbox
from tasks.clients import BLOCK_NAME, make_client
from tasks.credentials import ParetaCredentials
from tests.flows.datasets import batch

KEY = "pareta_sk_of_the_block"


@pytest.fixture
async def saved(pareta: Sandbox, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ParetaCredentials]:
    """Save the block, and leave nothing in the environment that could stand in for it."""
    monkeypatch.delenv("PARETA_API_KEY")
    monkeypatch.delenv("PARETA_BASE_URL")
    block = ParetaCredentials(api_key=KEY, base_url=pareta.base_url)
    await block.save(BLOCK_NAME, overwrite=True)
    yield block
    await ParetaCredentials.adelete(BLOCK_NAME)


async def test_a_run_finds_the_key_in_the_block(saved: ParetaCredentials, pareta: Sandbox, tmp_path: Path) -> None:
    assert (await complete_batch(batch(tmp_path))).settled == 12
    pareta.completed(12)


async def test_the_key_is_in_no_log_line_of_a_run(
    saved: ParetaCredentials, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await complete_batch(batch(tmp_path))
    assert "rows settled" in caplog.text
    assert KEY not in caplog.text


async def test_the_api_hides_the_key(saved: ParetaCredentials) -> None:
    async with get_client() as client:
        document = await client.read_block_document_by_name(BLOCK_NAME, "pareta-credentials", include_secrets=False)
    assert document.data["base_url"] == saved.base_url
    assert KEY not in json.dumps(document.model_dump(mode="json"))
    assert KEY not in repr(saved)


async def test_without_a_block_the_environment_gives_the_key(pareta: Sandbox) -> None:
    async with await make_client() as client:
        assert await client.models.list()


async def test_with_neither_the_message_says_what_to_set(pareta: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARETA_API_KEY")
    with pytest.raises(ParetaError, match="PARETA_API_KEY"):
        await make_client()


async def test_its_page_in_the_ui_is_complete(prefect_server: None) -> None:
    await ParetaCredentials.register_type_and_schema()
    async with get_client() as client:
        shown = await client.read_block_type_by_slug("pareta-credentials")
    assert all((shown.logo_url, shown.documentation_url, shown.description, shown.code_example))
