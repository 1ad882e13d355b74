"""Faults on demand: effect, scope, and repeatability with the seed."""

import asyncio
import time
from email.utils import parsedate_to_datetime

import httpx
import pytest

from pareta_sandbox.faults.injection import retry_after
from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import (
    Drop,
    Hang,
    Html,
    Latency,
    RateLimit,
    ReplyHeaders,
    Sandbox,
    SlowBody,
    Status,
    TruncatedJson,
)
from tests.sandbox.talk import asked, async_client, client, complete, content


def test_a_status_comes_so_many_times_with_its_retry_after(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Status(status=429, times=2, retry_after_s=3))
    replies = [complete(http) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [429, 429, 200]
    assert [reply.headers.get("retry-after") for reply in replies] == ["3", "3", None]
    assert isinstance(replies[0].json()["detail"], str)
    sandbox.completed(1)


def test_retry_after_may_be_a_date(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Status(status=503, retry_after_s=2, retry_after="date"))
    before = time.time()
    date = parsedate_to_datetime(complete(http).headers["retry-after"])
    assert before + 1 < date.timestamp() <= time.time() + 3


def test_a_status_without_retry_after_has_no_such_header(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Status(status=429, retry_after_s=2, retry_after="none"))
    assert "retry-after" not in complete(http).headers


def test_a_fault_strikes_only_its_endpoint(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Status(status=500, endpoint="ep_seed_tickets"))
    assert complete(http).status_code == 200
    assert complete(http, model="ep_seed_tickets").status_code == 500


def test_a_fault_strikes_only_its_route(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Status(status=500, route="models"))
    assert http.get("/v1/models").status_code == 500
    assert complete(http).status_code == 200


def test_a_fault_may_let_the_first_requests_through(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Status(status=500, skip=2, times=1))
    assert [complete(http).status_code for _ in range(4)] == [200, 200, 500, 200]


def test_a_fault_ends_with_its_period(http: httpx.Client, sandbox: Sandbox) -> None:
    long = sandbox.inject(Status(status=500, for_s=600))
    assert complete(http).status_code == 500
    sandbox.remove(long)
    sandbox.inject(Status(status=500, for_s=0.1))
    deadline = time.monotonic() + 30
    while complete(http).status_code != 200:
        assert time.monotonic() < deadline, "the fault did not end"


def test_a_share_of_the_requests_is_struck_and_the_seed_says_which(sandbox_factory: SandboxFactory) -> None:
    outcomes = []
    for seed in (1, 1, 2):
        sandbox = sandbox_factory(seed=seed)
        sandbox.inject(Status(status=500, share=0.3))
        with client(sandbox) as http:
            outcomes.append([complete(http).status_code for _ in range(100)])
    assert outcomes[0] == outcomes[1] != outcomes[2]
    assert 15 < outcomes[0].count(500) < 45


def test_faults_can_be_switched_off(http: httpx.Client, sandbox: Sandbox) -> None:
    fault = sandbox.inject(Status(status=500))
    assert complete(http).status_code == 500
    assert sandbox.hits(fault) == 1
    sandbox.remove(fault)
    assert complete(http).status_code == 200
    sandbox.inject(Status(status=500))
    sandbox.clear_faults()
    assert complete(http).status_code == 200


def test_added_latency_is_waited_for(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Latency(ms=150, times=1))
    began = time.monotonic()
    complete(http)
    assert time.monotonic() - began >= 0.15


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_connection_dropped_before_the_work_costs_nothing(http: httpx.Client, sandbox: Sandbox, how: str) -> None:
    sandbox.inject(Drop.model_validate({"when": "before", "how": how, "times": 1}))
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        complete(http)
    assert sandbox.books().debits == ()
    assert complete(http).status_code == 200


def test_a_connection_dropped_after_the_work_was_debited(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Drop(when="after", times=1))
    with pytest.raises(httpx.RemoteProtocolError):
        complete(http)
    sandbox.completed(1)


def test_a_connection_dropped_in_the_body(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Drop(when="in_body", times=1))
    with pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|without sending complete"):
        complete(http)
    sandbox.completed(1)


def test_a_hang_before_the_work_costs_nothing(sandbox: Sandbox) -> None:
    sandbox.inject(Hang(times=1))
    with client(sandbox, timeout=httpx.Timeout(30, read=0.1)) as http, pytest.raises(httpx.ReadTimeout):
        complete(http)
    assert sandbox.books().debits == ()


def test_a_hang_may_end_with_a_dropped_connection(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Hang(times=1, seconds=0.05))
    with pytest.raises(httpx.RemoteProtocolError):
        complete(http)


def test_truncated_json_is_a_whole_reply_with_half_a_body(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(TruncatedJson(times=1))
    reply = complete(http)
    assert reply.status_code == 200
    with pytest.raises(ValueError, match=r"JSON|Expecting|Unterminated|delimiter"):
        reply.json()
    sandbox.completed(1)


def test_a_proxy_answers_in_html(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Html(times=1))
    reply = complete(http)
    assert reply.status_code == 502
    assert reply.headers["content-type"].startswith("text/html")
    assert reply.text.startswith("<html>")
    assert reply.headers["x-request-id"]


def test_a_slow_body_comes_whole(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(SlowBody(seconds=0.2, times=1))
    began = time.monotonic()
    assert content(complete(http)) == "MIT"
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize("seconds", [0.0, 0.0001, 0.0494, 0.05, 1.0, 1.2345])
def test_a_retry_after_is_never_shorter_than_the_wait(seconds: float) -> None:
    assert seconds <= float(retry_after(seconds, "fractional") or -1) < seconds + 0.0011
    assert seconds <= float(retry_after(seconds, "seconds") or -1) < seconds + 1
    began = time.time()
    date = parsedate_to_datetime(retry_after(seconds, "date") or "")
    assert date.timestamp() >= began + seconds


def test_a_rate_limit_lets_its_burst_and_its_rate_through(http: httpx.Client, sandbox: Sandbox) -> None:
    limit = sandbox.inject(RateLimit(per_s=2, burst=5, retry_after="fractional"))
    replies = [complete(http) for _ in range(5)]
    assert [reply.status_code for reply in replies] == [200] * 5
    while replies[-1].status_code != 429:
        replies.append(complete(http))
    replies += [complete(http) for _ in range(4)]
    refused = [reply for reply in replies if reply.status_code == 429]
    assert all(0 < float(reply.headers["retry-after"]) <= 0.5 for reply in refused)
    assert sandbox.hits(limit) == len(refused)
    time.sleep(float(refused[-1].headers["retry-after"]) + 0.06)
    assert complete(http).status_code == 200


def test_a_rate_limit_may_say_when_by_a_date(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(RateLimit(per_s=0.1, retry_after="date"))
    before = time.time()
    assert complete(http).status_code == 200
    date = parsedate_to_datetime(complete(http).headers["retry-after"])
    assert before + 9 < date.timestamp() <= time.time() + 11


async def test_a_cap_on_concurrent_calls_refuses_the_rest(sandbox_factory: SandboxFactory) -> None:
    sandbox = sandbox_factory(latency_ms=2_000)  # all eight arrive within it, on a loaded machine too
    sandbox.inject(RateLimit(concurrent=3))
    async with async_client(sandbox) as http:
        replies = await asyncio.gather(*(http.post("/v1/chat/completions", json=asked()) for _ in range(8)))
    assert sorted(reply.status_code for reply in replies) == [200] * 3 + [429] * 5
    assert all(reply.headers["retry-after"] == "1" for reply in replies if reply.status_code == 429)


async def test_who_is_slow_takes_a_place_under_a_cap_on_concurrent_calls(sandbox: Sandbox) -> None:
    sandbox.inject(Latency(ms=2_000))
    sandbox.inject(RateLimit(concurrent=3))
    async with async_client(sandbox) as http:
        replies = await asyncio.gather(*(http.post("/v1/chat/completions", json=asked()) for _ in range(8)))
    assert sorted(reply.status_code for reply in replies) == [200] * 3 + [429] * 5


@pytest.mark.parametrize("fault", [{"kind": "earthquake"}, {"kind": "status", "status": 200}, {"kind": "drop", "x": 1}])
def test_a_fault_that_does_not_exist_is_refused(http: httpx.Client, fault: dict[str, object]) -> None:
    assert http.post("/_sandbox/faults", json=fault).status_code == 422


def test_a_rate_limit_tells_its_buckets_in_headers(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(RateLimit(per_s=0.1, burst=2, tokens_per_min=60, told=True))
    replies = [complete(http) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    told = [reply.headers for reply in replies]
    assert [each["x-ratelimit-limit-requests"] for each in told] == ["2"] * 3
    assert [each["x-ratelimit-remaining-requests"] for each in told] == ["1", "0", "0"]
    assert 9_000 < float(told[0]["x-ratelimit-reset-requests"].removesuffix("ms")) <= 10_000
    assert told[0]["x-ratelimit-limit-tokens"] == told[0]["x-ratelimit-remaining-tokens"] == "60"
    used = replies[0].json()["usage"]["total_tokens"]
    assert 60 - used <= int(told[1]["x-ratelimit-remaining-tokens"]) < 60


def test_a_limit_on_tokens_refuses_once_they_are_used(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(RateLimit(tokens_per_min=2, retry_after="fractional"))
    assert complete(http).status_code == 200
    refused = complete(http)
    assert refused.status_code == 429
    assert float(refused.headers["retry-after"]) > 30
    assert "x-ratelimit-limit-tokens" not in refused.headers


def test_replies_may_have_other_headers(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(ReplyHeaders(headers={"x-ratelimit-limit-requests": "many"}))
    sandbox.inject(Status(status=503, skip=1))
    assert [complete(http).headers["x-ratelimit-limit-requests"] for _ in range(2)] == ["many", "many"]
