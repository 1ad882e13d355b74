"""Programs written for the official SDK 0.2.1 run after changing only the import: their shapes, one by one."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

import pareta_client as pareta
from pareta_client import AsyncPareta, Pareta
from tests.client.playing import KEY

MESSAGES = [{"role": "user", "content": "hello"}]
ENDPOINT = {
    "id": "ep_1",
    "name": "ep_1",
    "model": "heron-1",
    "status": "live",
    "taskName": "invoice-extraction",
    "url": "https://x",
    "recommendedSystemPrompt": "Extract.",
    "promptScaffold": "Labels: …",
}
RESULT = {
    "model_id": "heron-1",
    "kind": "open",
    "quality_mean": 91.5,
    "quality_ci_low": 88.0,
    "quality_ci_high": 95.0,
    "mean_cost_micro_usd": 120,
    "n_succeeded": 40,
    "error_count": 1,
}
RUN = {
    "id": "run_1",
    "eval_set_id": "es_1",
    "status": "completed",
    "candidate_model_ids": ["heron-1"],
    "error_detail": None,
    "total_cost_micro_usd": 1_239_999,
}
ENTRY = {"name": "heron-1", "kind": "open", "quality": 91.5, "cost_per_request_micro_usd": 120, "context_k": 32}
ANSWERS: dict[str, Any] = {
    "GET /v1/models": {"data": [{"id": "ep_1", "owned_by": "org", "created": 1}]},
    "GET /v1/endpoints": [ENDPOINT],
    "GET /v1/endpoints/ep_1": ENDPOINT,
    "POST /v1/endpoints/ep_1/start": {"status": "starting"},
    "POST /v1/endpoints/ep_1/stop": {"status": "stopped"},
    "GET /v1/endpoints/ep_1/cost": {"total_micro_usd": 5},
    "GET /v1/tasks": {"tasks": [{"id": "invoice-extraction", "default_scorer": "field_f1", "has_blob_input": True}]},
    "GET /v1/tasks/invoice-extraction": {"id": "invoice-extraction"},
    "GET /v1/tasks/invoice-extraction/leaderboard": {
        "task_id": "invoice-extraction",
        "metric": "field_f1",
        "cost_unit": "micro_usd",
        "recommended": "heron-1",
        "models": [ENTRY],
        "frontier": {**ENTRY, "name": "summit-pro", "kind": "frontier"},
    },
    "POST /v1/tasks/match": {
        "type": "task",
        "matched": True,
        "chosen": {"task_id": "invoice-extraction", "score": 0.9, "confidence": "high"},
        "capability": None,
        "candidates": [{"task_id": "invoice-extraction"}],
        "ambiguous": False,
        "reasoning": "words",
        "matcher": "reason",
    },
    "GET /v1/eval/frontier-models": {"frontier_models": [{"id": "summit-pro", "vendor": "N", "benchmarked": True}]},
    "POST /v1/eval-sets": {"eval_set": {"id": "es_1", "task_id": "t", "item_count": 1, "scoring_strategy": "exact"}},
    "GET /v1/eval-sets": {"eval_sets": [{"id": "es_1"}]},
    "GET /v1/eval-sets/es_1": {"eval_set": {}},
    "POST /v1/eval-runs": {"run_id": "run_1", "status": "queued"},
    "GET /v1/eval-runs/run_1": {"run": RUN, "results": [RESULT]},
    "POST /v1/chat/completions": {
        "id": "c",
        "model": "ep_1",
        "created": 1,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    },
}
DEPLOYED = (
    'event: progress\ndata: {"stage": "pull", "pct": 10}\n\n'
    f"event: complete\ndata: {json.dumps({'endpoint': ENDPOINT})}\n\n"
)


class Service:
    """Answers as the first generation does, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        call = f"{request.method} {request.url.path}"
        if call == "POST /v1/endpoints":
            return httpx.Response(200, text=DEPLOYED)
        if request.method == "DELETE":
            return httpx.Response(204)
        if call == "POST /v1/chat/completions" and json.loads(request.content).get("stream"):
            return httpx.Response(200, text='data: {"choices": [{"delta": {"content": "hi"}}]}\n\ndata: [DONE]\n\n')
        return httpx.Response(200, json=ANSWERS[call])


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def pa(service: Service) -> Pareta:
    return Pareta(api_key=KEY, http_client=httpx.Client(transport=httpx.MockTransport(service)))


def test_a_completion_reads_as_it_always_did(pa: Pareta, service: Service) -> None:
    answer = pa.chat.completions.create(model="ep_1", messages=MESSAGES, temperature=0.2, max_tokens=5)
    assert answer.choices[0].message.content == "hi"
    assert (answer.choices[0].message.role, answer.choices[0].finish_reason, answer.choices[0].index) == (
        "assistant",
        "stop",
        0,
    )
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (1, 2, 3)
    assert (answer.id, answer.model, answer.created) == ("c", "ep_1", 1)
    assert answer.to_dict() == ANSWERS["POST /v1/chat/completions"]
    assert answer["id"] == answer.get("id") == "c"
    assert json.loads(service.asked[0].content) == {
        "model": "ep_1",
        "messages": MESSAGES,
        "temperature": 0.2,
        "max_tokens": 5,
    }
    assert service.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_stream_is_iterated_over(pa: Pareta) -> None:
    chunks = list(pa.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True))
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["hi"]
    assert isinstance(chunks[0], pareta.ChatCompletionChunk)


def test_models_are_iterated_over_and_counted(pa: Pareta) -> None:
    models = pa.models.list()
    assert [model.id for model in models] == ["ep_1"] == [model.id for model in models.data]
    assert len(models) == 1


def test_endpoints_answer_their_attributes(pa: Pareta) -> None:
    (endpoint,) = pa.endpoints.list()
    assert endpoint.to_dict() == pa.endpoints.retrieve("ep_1").to_dict() == ENDPOINT
    assert (endpoint.id, endpoint.name, endpoint.model, endpoint.status) == ("ep_1", "ep_1", "heron-1", "live")
    assert (endpoint.task, endpoint.url, endpoint.is_live) == ("invoice-extraction", "https://x", True)
    assert (endpoint.recommended_system_prompt, endpoint.prompt_scaffold) == ("Extract.", "Labels: …")
    assert pareta.Endpoint.model_validate({"name": "old", "task": "t"}).id == "old"


def test_endpoints_are_operated(pa: Pareta) -> None:
    assert pa.endpoints.start("ep_1") == {"status": "starting"}
    assert pa.endpoints.stop("ep_1") == {"status": "stopped"}
    pa.endpoints.delete("ep_1")
    assert pa.endpoints.metrics("ep_1").cost(window="24h", group_by="day") == {"total_micro_usd": 5}


def test_metrics_hand_their_parameters_on(pa: Pareta, service: Service) -> None:
    pa.endpoints.metrics("ep_1").cost(window="24h", group_by="day")
    assert dict(service.asked[0].url.params) == {"window": "24h", "group_by": "day"}


def test_a_deployment_is_iterated_over_or_waited_for(pa: Pareta, service: Service) -> None:
    events = list(pa.endpoints.deploy(task="invoice-extraction"))
    assert [event["event"] for event in events] == ["progress", "complete"]
    assert events[0]["data"] == {"stage": "pull", "pct": 10}
    endpoint = pa.endpoints.deploy(task="invoice-extraction", model="heron-1", name="mine", wait=True, region="eu")
    assert endpoint.is_live
    assert json.loads(service.asked[1].content) == {
        "task": "invoice-extraction",
        "model": "heron-1",
        "name": "mine",
        "region": "eu",
    }


def test_the_catalogue_answers_its_attributes(pa: Pareta) -> None:
    (task,) = pa.tasks.list()
    assert (task.id, task.default_scorer, task.has_blob_input) == ("invoice-extraction", "field_f1", True)
    assert pa.tasks.retrieve("invoice-extraction", examples_n=2).id == "invoice-extraction"
    match = pa.tasks.match("read my invoices", top_k=3)
    assert match.chosen is not None
    assert (match.type, match.matched, match.chosen.task_id, match.chosen.score) == (
        "task",
        True,
        "invoice-extraction",
        0.9,
    )
    assert (match.candidates[0].task_id, match.capability, match.ambiguous) == ("invoice-extraction", None, False)


def test_a_leaderboard_answers_its_attributes(pa: Pareta) -> None:
    board = pa.tasks.leaderboard("invoice-extraction")
    assert board.frontier is not None
    assert (board.recommended, board.models[0].name, board.frontier.kind) == ("heron-1", "heron-1", "frontier")
    assert board.models[0].cost_per_request_micro_usd == 120
    assert pa.tasks.recommended("invoice-extraction") == "heron-1"


def test_an_eval_run_answers_its_attributes_and_its_money_is_floored(pa: Pareta) -> None:
    run = pa.evals.runs.create(
        task="t", items=[{"input": "a", "expected": "b"}], models=["heron-1"], frontier=["x"], name="n", wait=True
    )
    assert (run.id, run.eval_set_id, run.status, run.is_terminal) == ("run_1", "es_1", "completed", True)
    assert (run.candidate_models, run.error_detail) == (["heron-1"], None)
    assert (run.cost_micro_usd, run.cost) == (1_239_999, Decimal("1.23"))
    assert str(run.cost) == "1.23"
    (result,) = run.results
    assert result.to_dict() == RESULT
    assert {name: getattr(result, name) for name in RESULT} == RESULT
    assert (result.per_item, result.exact_match) == ([], None)


@pytest.mark.parametrize(("micro", "dollars"), [(0, "0.00"), (5, "0.00"), (9_999, "0.00"), (10_000, "0.01")])
def test_money_is_never_rounded_up(micro: int, dollars: str) -> None:
    assert str(pareta.EvalRun.model_validate({"run": {"total_cost_micro_usd": micro}}).cost) == dollars


def test_eval_sets_answer_their_attributes(pa: Pareta) -> None:
    created = pa.evals.sets.create(task="t", items=[{"input": "a"}])
    assert (created.id, created.task_id, created.item_count, created.scoring_strategy) == ("es_1", "t", 1, "exact")
    assert [one.id for one in pa.evals.sets.list()] == ["es_1"]
    assert pa.evals.sets.retrieve("es_1").to_dict() == {}
    pa.evals.sets.delete("es_1")
    (frontier,) = pa.evals.frontier_models(task="t")
    assert (frontier.id, frontier.vendor, frontier.vision, frontier.benchmarked) == ("summit-pro", "N", False, True)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda pa: pa.chat.completions.create(model="", messages=MESSAGES),
        lambda pa: pa.chat.completions.create(model="ep_1", messages=[]),
        lambda pa: pa.chat.completions.create(model="ep_1", messages=[], stream=True),
        lambda pa: pa.endpoints.deploy(task=""),
        lambda pa: pa.endpoints.retrieve(""),
        lambda pa: pa.tasks.match("  "),
        lambda pa: pa.evals.sets.create(task="t", items=[]),
        lambda pa: pa.evals.runs.create(models=["heron-1"]),
        lambda pa: pa.evals.runs.create(eval_set="es_1", models=[]),
        lambda pa: pa.evals.runs.create(eval_set="es_1", models=["a"], frontier="everything"),
        lambda pa: pa.chat.completions.create(model="ep_1", messages=MESSAGES, idempotency_key="two\nlines"),
        lambda pa: pa.chat.completions.create(model="ep_1", messages=MESSAGES, temperature=float("nan")),
    ],
)
def test_a_programming_error_is_a_value_error_before_anything_is_sent(
    pa: Pareta, service: Service, mistake: Any
) -> None:
    with pytest.raises(ValueError, match=r"."):
        mistake(pa)
    assert service.asked == []


@pytest.mark.parametrize(
    "mistake",
    [
        lambda pa: pa.chat.completions.create(messages=MESSAGES),
        lambda pa: pa.chat.completions.create(model="ep_1"),
        lambda pa: pa.chat.completions.create(model="ep_1", messages=MESSAGES, seed=object()),
        lambda pa: pa.evals.runs.create(eval_set="es_1", models=["a"], frontier=3),
        lambda pa: pa.evals.sets.upload_document("es_1", 3, idx=0, field_name="f"),
    ],
)
def test_a_wrong_type_or_a_missing_argument_is_a_type_error(pa: Pareta, service: Service, mistake: Any) -> None:
    with pytest.raises(TypeError):
        mistake(pa)
    assert service.asked == []


def test_errors_are_caught_by_their_classes() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(402, json={"detail": "organization is out of credit"}, headers={"x-request-id": "req_1"})

    pa = Pareta(api_key=KEY, http_client=httpx.Client(transport=httpx.MockTransport(refuse)))
    with pytest.raises(pareta.InsufficientCreditsError) as caught:
        pa.chat.completions.create(model="ep_1", messages=MESSAGES)
    assert (caught.value.status_code, caught.value.request_id) == (402, "req_1")
    assert str(caught.value) == caught.value.detail == "organization is out of credit"
    assert caught.value.response is not None
    assert caught.value.response.status_code == 402


def test_errors_are_made_as_the_official_ones_are() -> None:
    assert str(pareta.APITimeoutError()) == "request timed out"
    assert pareta.APIConnectionError("gone", cause=OSError("x")).__cause__ is not None
    error = pareta.RateLimitError("slow", status_code=429, detail="slow", request_id=None, response=None)
    assert error.status_code == 429


def test_a_client_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETA_API_KEY", KEY)
    monkeypatch.setenv("PARETA_BASE_URL", "http://localhost:9/")
    assert (Pareta.from_env().base_url, AsyncPareta.from_env().api_key) == ("http://localhost:9", KEY)
    assert Pareta.from_env(base_url="https://other.example", max_retries=5).max_retries == 5
    monkeypatch.delenv("PARETA_API_KEY")
    with pytest.raises(pareta.ParetaError, match="PARETA_API_KEY"):
        AsyncPareta.from_env()


def test_the_callers_client_keeps_its_own_headers_timeouts_and_life(service: Service) -> None:
    http_client = httpx.Client(transport=httpx.MockTransport(service), headers={"x-team": "a"}, timeout=7)
    with Pareta(api_key=KEY, http_client=http_client) as pa:
        pa.models.list()
        pa.with_options(timeout=3).models.list()
    assert not http_client.is_closed
    assert service.asked[0].headers["x-team"] == "a"
    assert [request.extensions["timeout"]["read"] for request in service.asked] == [7, 3]


def test_the_callers_key_is_sent_and_options_of_one_call_hold_for_it_alone(pa: Pareta, service: Service) -> None:
    pa.chat.completions.create(model="auto", messages=MESSAGES, idempotency_key="row-7", timeout=5, max_retries=0)
    pa.chat.completions.create(model="auto", messages=MESSAGES)
    first, second = service.asked
    assert (first.headers["idempotency-key"], first.extensions["timeout"]["read"]) == ("row-7", 5)
    assert second.headers["idempotency-key"] not in ("", "row-7")
    assert json.loads(first.content).keys() == {"model", "messages"}
