"""Tool calls, reasoning and log probabilities of real replies, in columns of the answers."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pareta_batch.answers import write_answers
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.rows.dataset import Dataset
from pareta_client import AsyncPareta, Pareta
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in, numbered, run

ROUTE = {"name": "route", "parameters": {"type": "object", "properties": {"team": {"type": "string"}}}}
TOOLS = [{"type": "function", "function": ROUTE}]
COLUMNS = ("tool_calls", "reasoning", "logprobs")

ASKED: dict[str, dict[str, Any]] = {
    "tool_calls": {"tools": TOOLS},
    "reasoning": {"reasoning_effort": "low"},
    "logprobs": {"logprobs": True, "top_logprobs": 1},
}


@pytest.mark.parametrize("asked", COLUMNS)
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
async def test_a_part_that_is_asked_for_has_its_column(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, asked: str, suffix: str
) -> None:
    sampling = {"max_tokens": 60, **ASKED[asked]}
    output = str(tmp_path / f"answers{suffix}")
    batch = batch_in(tmp_path, numbered(3), sampling=sampling, answer_columns=COLUMNS, budget_usd=1, output=output)
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.flagged) == ("completed", {})
    for row in (each.values for each in Dataset.open(output).rows()):
        assert [name for name in COLUMNS if row.get(name)] == [asked]
        value = row[asked]
        if asked == "reasoning":
            assert isinstance(value, str)
            continue
        found: Any = json.loads(value) if isinstance(value, str) else value
        if asked == "tool_calls":
            assert found[0]["function"] == {"name": "route", "arguments": '{"team": "billing"}'}
            assert not row["answer"]
        else:
            assert "".join(token["token"] for token in found["content"]) == row["answer"] == "billing"
    sandbox.debited_once()


async def test_all_parts_at_once_are_kept_and_their_tokens_billed(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sampling = {"max_tokens": 60, "reasoning_effort": "low", "logprobs": True}
    batch = batch_in(tmp_path, numbered(2), sampling=sampling, answer_columns=COLUMNS)
    report = await run(batch, sandbox, ledger)
    table = pq.read_table(write_answers(batch.model_copy(update={"output": str(tmp_path / "a.parquet")}), ledger))
    (row, _) = table.to_pylist()
    assert row["answer"] == "billing"
    assert row["reasoning"]
    assert json.loads(row["logprobs"])["content"]
    assert report.billed_micro_usd == sandbox.books().debited_micro_usd
    assert row["completion_tokens"] > len(row["answer"]) // 4 + 1


@pytest.mark.parametrize("asked", COLUMNS)
async def test_the_client_reads_these_parts_complete_and_as_a_stream(sandbox: Sandbox, asked: str) -> None:
    question = [{"role": "user", "content": "Which team? My invoice is wrong."}]
    fields: dict[str, Any] = {"model": "ep_seed_tickets", "messages": question, **ASKED[asked]}
    given: dict[str, Any] = {"api_key": sandbox.api_key, "base_url": sandbox.base_url}
    with Pareta(**given) as client:
        whole = client.chat.completions.create(**fields).choices[0].to_dict()
    found: list[dict[str, Any]] = []
    async with AsyncPareta(**given) as client:
        async for chunk in await client.chat.completions.create(**fields, stream=True):
            found += [choice.to_dict() for choice in chunk.choices]
    match asked:
        case "tool_calls":
            pieces = [call for each in found for call in each["delta"].get("tool_calls", ())]
            arguments = "".join(each["function"]["arguments"] for each in pieces)
            assert arguments == whole["message"]["tool_calls"][0]["function"]["arguments"]
        case "reasoning":
            streamed = "".join(each["delta"].get("reasoning_content", "") for each in found)
            assert streamed == whole["message"]["reasoning_content"]
        case _:
            tokens = [token for each in found for token in (each.get("logprobs") or {"content": []})["content"]]
            assert tokens == whole["logprobs"]["content"]
