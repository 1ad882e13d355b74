"""Chat completions in OpenAI's wire format."""

import re

import httpx
import pytest

from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import Sandbox
from tests.sandbox.talk import LICENSES, asked, client, complete, content


def test_a_completion_has_the_shape_of_openai(http: httpx.Client) -> None:
    answer = complete(http).json()
    assert {"id", "object", "created", "model", "choices", "usage"} <= set(answer)
    assert answer["object"] == "chat.completion"
    assert answer["model"] == LICENSES
    assert answer["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "MIT"},
        "finish_reason": "stop",
    }
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_the_answer_follows_from_the_document_in_the_prompt(http: httpx.Client) -> None:
    apache = 'Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except ...'
    assert content(complete(http)) == "MIT"
    assert content(complete(http, apache)) == "Apache-2.0"


def test_the_receipt_says_what_was_billed_and_what_the_frontier_would_have_cost(
    http: httpx.Client, sandbox: Sandbox
) -> None:
    reply = complete(http)
    debit = sandbox.books().debits[0]
    assert int(reply.headers["x-pareta-billed"]) == debit.amount_micro_usd
    assert int(reply.headers["x-pareta-frontier-would-have-cost"]) > debit.amount_micro_usd


def test_a_service_of_the_first_generation_has_neither_receipts_nor_auto(sandbox_factory: SandboxFactory) -> None:
    with client(sandbox_factory(generation=1)) as http:
        assert "x-pareta-billed" not in complete(http).headers
        assert complete(http, model="auto").status_code == 404


def test_auto_finds_the_task_in_the_prompt(http: httpx.Client) -> None:
    body = {
        "model": "auto",
        "messages": [{"role": "user", "content": "Is this review positive?\n\nI love this kettle."}],
    }
    assert content(http.post("/v1/chat/completions", json=body)) == "positive"


def test_every_response_has_a_request_id_of_its_own(http: httpx.Client) -> None:
    replies = [
        complete(http),
        complete(http),
        http.get("/v1/models"),
        http.get("/v1/nothing"),
        complete(http, model="x"),
    ]
    ids = [reply.headers["x-request-id"] for reply in replies]
    assert all(re.fullmatch(r"req_[0-9a-f]+", found) for found in ids)
    assert len(set(ids)) == len(ids)


def test_an_extraction_endpoint_injects_its_prompt_only_when_there_is_no_system_message(http: httpx.Client) -> None:
    text = "Copyright (c) 2018 Ada Lindqvist\n\nEffective date: 2020-02-01"
    bare = http.post(
        "/v1/chat/completions", json={"model": "ep_seed_contracts", "messages": [{"role": "user", "content": text}]}
    )
    own = http.post(
        "/v1/chat/completions",
        json={
            "model": "ep_seed_contracts",
            "messages": [{"role": "system", "content": "Extract the year as JSON."}, {"role": "user", "content": text}],
        },
    )
    assert '"effective_date": "2020-02-01"' in content(bare)
    assert content(own) == '{"year": "2018"}'
    assert bare.json()["usage"]["prompt_tokens"] > len(text) // 4 + 1


def test_max_tokens_cuts_the_answer_and_says_so(http: httpx.Client) -> None:
    choice = complete(http, "Licensed under the Apache License, Version 2.0", max_tokens=1).json()["choices"][0]
    assert choice["message"]["content"] == "Apac"
    assert choice["finish_reason"] == "length"


def test_content_may_come_in_parts(http: httpx.Client) -> None:
    body = asked()
    body["messages"] = [
        {"role": "user", "content": [{"type": "text", "text": "Which licence is this?\n\nMIT License"}]}
    ]
    assert "MIT" in content(http.post("/v1/chat/completions", json=body))


def test_unknown_fields_pass_through(http: httpx.Client) -> None:
    assert complete(http, logit_bias={"1": 2}, provider={"order": ["x"]}).status_code == 200


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"messages": [{"role": "user", "content": "x"}]}, ["body", "model"]),
        ({"model": LICENSES}, ["body", "messages"]),
        ({"model": LICENSES, "messages": []}, ["body", "messages"]),
        ({"model": LICENSES, "messages": [{"role": "wizard", "content": "x"}]}, ["body", "messages", 0, "role"]),
        (
            {"model": LICENSES, "messages": [{"role": "user", "content": "x"}], "temperature": 9},
            ["body", "temperature"],
        ),
        ([1], ["body"]),
    ],
)
def test_a_malformed_request_is_refused_with_a_list_of_what_is_wrong(
    http: httpx.Client, body: object, where: list[str | int]
) -> None:
    reply = http.post("/v1/chat/completions", json=body)
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["loc"] == where


def test_a_body_that_is_no_json_is_refused(http: httpx.Client) -> None:
    assert http.post("/v1/chat/completions", content=b'{"model": ').status_code == 422


def test_a_prompt_that_does_not_fit_into_the_context_is_a_bad_request(http: httpx.Client, sandbox: Sandbox) -> None:
    reply = complete(http, "word " * 30_000)
    assert reply.status_code == 400
    assert "context holds 32000" in reply.json()["detail"]
    assert sandbox.books().debits == ()


def test_an_unknown_endpoint_is_not_found(http: httpx.Client, sandbox: Sandbox) -> None:
    assert complete(http, model="ep_nobody").status_code == 404
    assert sandbox.books().debits == ()


def test_a_reply_does_not_wait_for_a_delayed_acknowledgement(http: httpx.Client) -> None:
    complete(http)
    took = [complete(http).elapsed.total_seconds() for _ in range(20)]
    assert sorted(took)[10] < 0.02  # with Nagle's algorithm on, every reply took 0.04 s
