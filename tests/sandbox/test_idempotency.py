"""One idempotency key is one debit, however often and however concurrently it is sent."""

import asyncio

import httpx

from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import Drop, Hang, Sandbox, Status
from tests.end_to_end.processes import until
from tests.sandbox.talk import asked, async_client, client, complete, licence_set, start_run, streamed_text


def test_a_repeated_key_replays_the_answer_and_bills_nothing(http: httpx.Client, sandbox: Sandbox) -> None:
    first, again = complete(http, key="k"), complete(http, key="k")
    assert again.content == first.content
    assert int(first.headers["x-pareta-billed"]) > 0
    assert again.headers["x-pareta-billed"] == "0"
    assert sandbox.books().replays == 1
    sandbox.debited_once()
    sandbox.completed(1)


async def test_duplicates_at_the_same_time_wait_for_the_first_and_are_debited_once(
    sandbox_factory: SandboxFactory,
) -> None:
    sandbox = sandbox_factory(latency_ms=50)
    async with async_client(sandbox) as http:
        posts = (http.post("/v1/chat/completions", json=asked(), headers={"idempotency-key": "k"}) for _ in range(10))
        replies = await asyncio.gather(*posts)
    assert len({reply.content for reply in replies}) == 1
    assert sorted(int(reply.headers["x-pareta-billed"]) > 0 for reply in replies) == [False] * 9 + [True]
    sandbox.debited_once()


def test_the_same_key_with_another_body_is_refused_for_good(http: httpx.Client, sandbox: Sandbox) -> None:
    complete(http, key="k")
    other = complete(http, "Apache License", key="k")
    assert other.status_code == 422
    assert isinstance(other.json()["detail"], list)
    sandbox.completed(1)


def test_spacing_and_field_order_do_not_make_another_body(http: httpx.Client, sandbox: Sandbox) -> None:
    body = b'{"model":"ep_seed_licenses","messages":[{"role":"user","content":"MIT License"}]}'
    same = b'{ "messages": [{"content": "MIT License", "role": "user"}], "model": "ep_seed_licenses" }'
    for content in (body, same):
        assert http.post("/v1/chat/completions", content=content, headers={"idempotency-key": "k"}).status_code == 200
    sandbox.completed(1)


def test_a_failed_attempt_leaves_the_key_free(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Status(status=500, times=1))
    assert complete(http, key="k").status_code == 500
    assert int(complete(http, key="k").headers["x-pareta-billed"]) > 0
    sandbox.debited_once()


def test_an_answer_lost_on_the_way_is_replayed_unbilled(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Drop(when="after", times=1))
    try:
        complete(http, key="k")
    except httpx.RemoteProtocolError:
        pass
    else:
        raise AssertionError("the connection was not dropped")
    assert sandbox.books().completions == 1
    assert complete(http, key="k").headers["x-pareta-billed"] == "0"
    sandbox.debited_once()


def test_an_answer_that_came_too_late_is_replayed_unbilled(sandbox: Sandbox) -> None:
    sandbox.inject(Hang(when="after", times=1))
    with client(sandbox, timeout=httpx.Timeout(30, read=1)) as http:
        try:
            complete(http, key="k")
        except httpx.ReadTimeout:
            pass
        else:
            raise AssertionError("the answer was not held back")
    until(lambda: sandbox.books().completions == 1, within_s=30, what="a debit")
    with client(sandbox) as http:
        assert complete(http, key="k").headers["x-pareta-billed"] == "0"
    sandbox.debited_once()


def test_a_service_that_honours_no_keys_bills_every_request(sandbox_factory: SandboxFactory) -> None:
    sandbox = sandbox_factory(idempotency=False)
    with client(sandbox) as http:
        assert int(complete(http, key="k").headers["x-pareta-billed"]) > 0
        assert int(complete(http, key="k").headers["x-pareta-billed"]) > 0
    sandbox.completed(2)


def test_a_replayed_stream_has_the_same_text_and_a_receipt_of_zero(http: httpx.Client, sandbox: Sandbox) -> None:
    first, again = complete(http, key="k", stream=True), complete(http, key="k", stream=True)
    assert streamed_text(again.text) == streamed_text(first.text) == "MIT"
    assert ": pareta-billed-micro-usd 0\n" in again.text
    sandbox.debited_once()


def test_a_deploy_with_the_same_key_makes_one_endpoint(http: httpx.Client) -> None:
    before = len(http.get("/v1/endpoints").json())
    for _ in range(2):
        body = {"task": "license-identification", "model": "wren-1"}
        assert "event: complete" in http.post("/v1/endpoints", json=body, headers={"idempotency-key": "d"}).text
    assert len(http.get("/v1/endpoints").json()) == before + 1


def test_an_eval_run_with_the_same_key_is_started_once(http: httpx.Client, sandbox: Sandbox) -> None:
    set_id = licence_set(http)
    runs = {start_run(http, set_id, "wren-1", key="r").json()["run_id"] for _ in range(3)}
    assert len(runs) == 1
    assert sandbox.books().eval_runs_created == 1


def test_an_eval_set_with_the_same_key_is_created_once_whatever_the_boundary(http: httpx.Client) -> None:
    made = [
        http.post(
            "/v1/eval-sets",
            files={"items": ("i.jsonl", b'{"input": "x", "expected": "MIT"}')},
            data={"task_id": "license-identification"},
            headers={"idempotency-key": "s"},
        ).json()["eval_set"]["id"]
        for _ in range(2)
    ]
    assert made[0] == made[1]


def test_a_key_that_is_too_long_is_refused(http: httpx.Client) -> None:
    assert complete(http, key="k" * 256).status_code == 400
