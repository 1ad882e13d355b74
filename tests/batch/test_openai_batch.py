"""Files made for OpenAI's batch API: they run unchanged, and their output format can be asked for."""

import json
from pathlib import Path
from typing import Any

import pytest

from pareta_batch.answers.answers_file import write_answers
from pareta_batch.errors import DatasetError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.rows.requests import row_requests
from pareta_batch.spec import Batch
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import answered, failed, run


def request(number: int, **body: Any) -> dict[str, Any]:
    """Make a request as the documentation of the batch API has it."""
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": f"Which team? My invoice number {number} is wrong."},
    ]
    return {
        "custom_id": f"request-{number}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "gpt-4o-mini", "messages": messages, "max_tokens": 10, **body},
    }


def write(folder: Path, *requests: dict[str, Any]) -> str:
    path = folder / "batchinput.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in requests))
    return str(path)


def batch_of(folder: Path, *requests: dict[str, Any], **fields: Any) -> Batch:
    dataset = {"path": write(folder, *requests), "format": "openai_batch"}
    given = {"name": "test", "model": "auto", "dataset": dataset, "output": str(folder / "answers.jsonl"), **fields}
    return Batch.model_validate(given)


def lines(batch: Batch) -> list[dict[str, Any]]:
    return [json.loads(line) for line in batch.output_path.read_text().splitlines()]


def problem(batch: Batch) -> str:
    with pytest.raises(DatasetError) as caught:
        list(row_requests(batch))
    return str(caught.value)


def test_the_body_of_each_row_is_what_is_asked(tmp_path: Path) -> None:
    first, second = row_requests(batch_of(tmp_path, request(1, temperature=0.5, stream=False, user=None), request(2)))
    assert (first.key, second.key) == ("request-1", "request-2")
    assert list(first.messages) == request(1)["body"]["messages"]
    assert first.sampling == {"max_tokens": 10, "temperature": 0.5}
    assert second.sampling == {"max_tokens": 10}


def test_the_sampling_of_the_spec_is_that_of_rows_without_their_own(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, request(1), request(2, max_tokens=None), sampling={"max_tokens": 50, "temperature": 0})
    first, second = row_requests(batch)
    assert first.sampling == {"max_tokens": 10, "temperature": 0}
    assert second.sampling is None


def test_the_model_of_the_spec_answers_and_that_of_the_body_is_no_part_of_the_work(tmp_path: Path) -> None:
    (one,) = row_requests(batch_of(tmp_path, request(1)))
    (other,) = row_requests(batch_of(tmp_path, request(1, model="gpt-5")))
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "/v1/embeddings"}, "POST /v1/embeddings: only POST /v1/chat/completions is supported"),
        ({"method": "GET"}, "GET /v1/chat/completions: only POST"),
        ({"body": None}, "no value for column 'body.messages'"),
        ({"body": "x"}, "'body' is no object"),
        ({"body": {"model": "x"}}, "no value for column 'body.messages'"),
        ({"body": {"messages": "hello"}}, "'body.messages' is no JSON"),
        ({"body": {**request(2)["body"], "stream": True}}, "'stream' is true"),
        ({"body": {**request(2)["body"], "temperature": 9}}, "temperature is 9"),
        ({"body": {**request(2)["body"], "timeout": 9}}, "sampling may not set timeout"),
        ({"custom_id": None}, "no value in the id column 'custom_id'"),
        ({"custom_id": "request-1"}, "duplicate id 'request-1' in column 'custom_id'"),
    ],
)
def test_a_row_that_cannot_be_asked_is_named_with_its_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    text = problem(batch_of(tmp_path, request(1), {**request(2), **changes}))
    assert "batchinput.jsonl line 2: " in text
    assert said in text


def test_a_body_stays_within_the_bounds_of_a_budget(tmp_path: Path) -> None:
    given = {"sampling": {"max_tokens": 10}, "budget_usd": 1}
    assert len(list(row_requests(batch_of(tmp_path, request(1), **given)))) == 1
    assert "raise sampling.max_tokens" in problem(batch_of(tmp_path, request(1, max_tokens=11), **given))
    assert "web_search_options" in problem(batch_of(tmp_path, request(1, web_search_options={}), **given))


def test_a_prompt_next_to_the_messages_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it has prompt and messages_column"):
        batch_of(tmp_path, request(1), prompt="{body}")


@pytest.mark.parametrize("output", ["answers.csv", "answers.parquet"])
def test_lines_for_openai_are_json_lines(tmp_path: Path, output: str) -> None:
    with pytest.raises(ValueError, match=r"JSON Lines; end it in \.jsonl"):
        batch_of(tmp_path, request(1), output=output, output_format="openai_batch")


async def test_a_file_made_for_openai_runs_unchanged_and_is_answered_in_its_format(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_of(tmp_path, request(1), request(2), output_format="openai_batch")
    report = await run(batch, sandbox, ledger)
    assert (report.settled, report.failed) == (2, 0)
    found = lines(batch)
    assert [list(line) for line in found] == [["id", "custom_id", "response", "error"]] * 2
    assert [line["custom_id"] for line in found] == ["request-1", "request-2"]
    for line in found:
        body = line["response"]["body"]
        assert (line["response"]["status_code"], line["error"], body["object"]) == (200, None, "chat.completion")
        assert (body["choices"][0]["message"]["content"], body["choices"][0]["finish_reason"]) == ("billing", "stop")
        assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"] > 0
        assert (line["response"]["request_id"], body["created"] > 1_600_000_000) == (body["id"], True)
    before = batch.output_path.read_bytes()
    report = await run(batch, sandbox, ledger)
    assert (report.settled, batch.output_path.read_bytes()) == (2, before), "the second run sends and changes nothing"


async def test_the_columns_of_an_ordinary_answers_file_are_those_of_the_requests(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_of(tmp_path, request(1))
    await run(batch, sandbox, ledger)
    (line,) = lines(batch)
    assert (line["custom_id"], line["body"]["model"], line["answer"]) == ("request-1", "gpt-4o-mini", "billing")


def written(tmp_path: Path, ledger: Ledger, *outcomes: Any) -> list[dict[str, Any]]:
    batch = batch_of(tmp_path, *(request(n) for n in range(1, 4)), output_format="openai_batch")
    requests = list(row_requests(batch))
    ledger.register_rows(batch.name, requests)
    ledger.record(
        batch.name, [make(each.key, each.fingerprint) for make, each in zip(outcomes, requests, strict=False)]
    )
    write_answers(batch, ledger)
    return lines(batch)


def test_a_failed_row_has_an_error_and_a_row_that_was_not_sent_is_pending(tmp_path: Path, ledger: Ledger) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = json.dumps({"role": "assistant", "content": None, "tool_calls": [call], "logprobs": {"content": []}})
    answer, error, pending = written(
        tmp_path,
        ledger,
        lambda key, work: answered(key, work, answer=None, message=message, finish_reason="tool_calls"),
        lambda key, work: failed(key, work, retryable=False),
    )
    assert answer["response"]["body"]["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]},
            "logprobs": {"content": []},
            "finish_reason": "tool_calls",
        }
    ]
    assert (error["response"], error["error"]) == (None, {"code": "APIStatusError", "message": "HTTP 500"})
    assert (pending["response"], pending["error"]) == (None, {"code": "pending", "message": "not sent yet"})


def test_several_choices_are_those_of_the_reply(tmp_path: Path, ledger: Ledger) -> None:
    choices = [
        {"index": n, "message": {"role": "assistant", "content": str(n)}, "finish_reason": "stop"} for n in (0, 1)
    ]
    (first, *_) = written(tmp_path, ledger, lambda key, work: answered(key, work, message=json.dumps(choices)))
    assert first["response"]["body"]["choices"] == choices
