"""Several accounts on one Prefect server: a credentials block by name, for every flow and command."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from prefect.blocks.abstract import CredentialsBlock
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite
from pydantic import ValidationError
from typer.testing import CliRunner

from flows.complete_batch import complete_batch
from flows.outcomes import report_of
from flows.run_pipeline import run_pipeline
from flows.stop_idle_endpoints import IdleGuard
from pareta_cli.app import app
from pareta_cli.quote import make_quote
from pareta_cli.sample import make_sample
from pareta_cli.spec_kinds import Command, kind_of
from pareta_client import ParetaError
from pareta_sandbox.testing import Sandbox, running
from tasks.clients import make_client, use_credentials
from tasks.credentials import ParetaCredentials, save_credentials
from tasks.endpoint_slots import limit_name
from tests.flows.datasets import batch
from tests.flows.test_run_pipeline import pipeline

KEY = "pareta_sk_of_the_second_account"
NAME = "second-account"


class TestPrefectsOwn(BlockStandardTestSuite):
    """Prefect's tests of a block."""

    @pytest.fixture
    def block(self) -> type[Block]:
        return ParetaCredentials

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        # Prefect's test downloads the image.
        assert urlparse(str(block._logo_url)).scheme == "https"


def test_the_block_is_a_credentials_block_with_a_client() -> None:
    block = ParetaCredentials(api_key=KEY, base_url="http://127.0.0.1:1")
    assert isinstance(block, CredentialsBlock)
    assert block.get_client().base_url == "http://127.0.0.1:1"
    assert KEY not in f"{block!r} {block} {block.model_dump_json()}"


@pytest.fixture
def second(pareta: Sandbox) -> Iterator[Sandbox]:
    """A second service that knows only the key of its own account, which is saved in a block."""
    with running(latency_ms=2, deploy_s=0.05, cold_start_s=0.05, eval_s=0.05, keys=(KEY,)) as sandbox:
        asyncio.run(save_credentials(NAME, KEY, sandbox.base_url))
        yield sandbox
        asyncio.run(ParetaCredentials.adelete(NAME))


def test_two_accounts_are_used_side_by_side(pareta: Sandbox, second: Sandbox, tmp_path: Path) -> None:
    async def both() -> None:
        theirs = batch(tmp_path, name="theirs", output=str(tmp_path / "theirs.jsonl"), credentials=NAME)
        await asyncio.gather(complete_batch(batch(tmp_path)), complete_batch(theirs))

    asyncio.run(both())
    pareta.completed(12)
    second.completed(12)


def test_all_parts_of_a_pipeline_use_its_account(pareta: Sandbox, second: Sandbox, tmp_path: Path) -> None:
    before = pareta.books()
    report = asyncio.run(run_pipeline(pipeline(tmp_path, credentials=NAME)))
    assert report.comparisons is not None
    assert [each.status for each in report.comparisons.comparisons] == ["completed"]
    # 12 rows and the smoke call.
    second.completed(13)
    pareta.silent_since(before)


def test_quotes_and_samples_use_the_account_of_the_spec(pareta: Sandbox, second: Sandbox, tmp_path: Path) -> None:
    before = pareta.books()
    spec = batch(tmp_path, credentials=NAME)
    assert "of 12 rows to send" in str(make_quote(spec))
    assert "of 12 rows to send" in str(make_quote(pipeline(tmp_path, name="quoted", credentials=NAME)))
    make_sample(spec, 3)
    second.completed(3)
    pareta.silent_since(before)


async def test_a_missing_block_is_named_with_the_command_that_makes_it(pareta: Sandbox, tmp_path: Path) -> None:
    state = await complete_batch(batch(tmp_path, credentials="pareta-prod"), return_state=True)
    assert state.name == "NotConfigured"
    assert "credentials 'pareta-prod': no such block" in str(state.message)
    assert "pareta-pipeline credentials pareta-prod" in str(state.message)
    pareta.completed(0)


async def test_without_a_server_a_named_block_is_refused(direct: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(ParetaError, match="credentials 'pareta-prod': this needs a Prefect API"):
        await report_of(await complete_batch(batch(tmp_path, credentials="pareta-prod"), return_state=True))
    direct.completed(0)


@pytest.mark.parametrize("kind", [*map(kind_of, Command), IdleGuard], ids=lambda kind: kind.__name__)
def test_every_flow_takes_credentials_by_the_name_of_a_block(kind: Any) -> None:
    assert kind.model_fields["credentials"].default is None


@pytest.mark.parametrize("name", ["Prod", "a_b", "a/b", "-a", "a-", "", "pareta_sk_key", "a" * 101])
def test_a_name_that_no_block_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        batch(tmp_path, credentials=name)


def test_accounts_do_not_share_a_limit() -> None:
    assert len({limit_name("auto"), limit_name("auto", "a"), limit_name("auto", "b")}) == 3


async def test_the_inner_name_counts_and_no_name_keeps_the_outer(prefect_server: None) -> None:
    for outer, inner, counts in (("a", "b", "b"), ("a", None, "a")):
        named = pytest.raises(ParetaError, match=f"credentials '{counts}'")
        with use_credentials(outer), use_credentials(inner), named:
            await make_client()


def test_the_command_saves_the_key_of_the_environment(pareta: Sandbox, tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["credentials", "made-by-command"])
    assert ended.exit_code == 0, ended.output
    assert pareta.api_key not in ended.output
    asyncio.run(complete_batch(batch(tmp_path, credentials="made-by-command")))
    pareta.completed(12)
    asyncio.run(ParetaCredentials.adelete("made-by-command"))


@pytest.mark.parametrize(
    ("name", "key", "problem"),
    [
        ("Pareta Prod", "pareta_sk_x", "not a valid name"),
        ("prod", "", "PARETA_API_KEY is not set"),
        ("prod", "a\nb", "PARETA_API_KEY"),
    ],
)
def test_the_command_refuses_a_name_or_a_key_that_cannot_be_used(
    name: str, key: str, problem: str, monkeypatch: pytest.MonkeyPatch, prefect_server: None
) -> None:
    monkeypatch.setenv("PARETA_API_KEY", key)
    ended = CliRunner().invoke(app, ["credentials", name])
    assert (ended.exit_code, problem in ended.output) == (2, True), ended.output
