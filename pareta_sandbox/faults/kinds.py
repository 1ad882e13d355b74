"""Kinds of faults. Each defines the requests it applies to; the seed makes the selection repeatable."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from pareta_sandbox.faults.odd_replies import SHAPES

Route = Literal["chat", "models", "endpoints", "deploy", "tasks", "eval_sets", "eval_runs", "any"]
RetryAfter = Literal["none", "seconds", "fractional", "date"]


class FaultScope(BaseModel):
    """Requests to which a fault applies.

    route, endpoint: restrict the fault to these requests.
    times: maximum number of affected requests; None means no maximum.
    share: share of the matching requests, selected by the seed.
    skip: number of matching requests that are not affected at first.
    after_s, for_s: delay and length of the active period, in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    route: Route = "chat"
    endpoint: str | None = None
    times: int | None = Field(None, ge=1)
    share: float = Field(1.0, gt=0, le=1)
    skip: int = Field(0, ge=0)
    after_s: float = Field(0.0, ge=0)
    for_s: float | None = Field(None, gt=0)


class Status(FaultScope):
    """Error status before any work, with or without Retry-After.

    broken_off: drop the connection in the middle of the body.
    """

    kind: Literal["status"] = "status"
    status: int = Field(500, ge=400, le=599)
    detail: str = "injected by the sandbox"
    retry_after_s: float | None = Field(None, ge=0)
    retry_after: RetryAfter = "seconds"
    broken_off: bool = False


class Html(FaultScope):
    """HTML page instead of JSON, as a proxy in front of the service sends."""

    kind: Literal["html"] = "html"
    status: int = Field(502, ge=400, le=599)


class Latency(FaultScope):
    """Additional latency: `ms` is the median; with `sigma` it is log-normally distributed."""

    kind: Literal["latency"] = "latency"
    ms: float = Field(ge=0)
    sigma: float = Field(0.0, ge=0, le=3)


class RateLimit(FaultScope):
    """Token bucket and concurrency limit; a request above either limit is refused with 429.

    per_s: refill rate. burst: size of the bucket. concurrent: maximum completions in flight. tokens_per_min: a second
    bucket of one minute, from which answered completions take their tokens. told: `x-ratelimit-*` headers report both.
    """

    kind: Literal["rate_limit"] = "rate_limit"
    per_s: float | None = Field(None, gt=0)
    burst: int = Field(1, ge=1)
    concurrent: int | None = Field(None, ge=1)
    retry_after: RetryAfter = "seconds"
    tokens_per_min: int | None = Field(None, ge=1)
    told: bool = False


class ReplyHeaders(FaultScope):
    """Additional headers of every reply, an error status included."""

    kind: Literal["reply_headers"] = "reply_headers"
    headers: dict[str, str]


class Drop(FaultScope):
    """Dropped connection: before any work, after the debit, or in the middle of the body."""

    kind: Literal["drop"] = "drop"
    when: Literal["before", "after", "in_body"] = "before"
    how: Literal["close", "reset"] = "close"


class Hang(FaultScope):
    """No reply, before any work or after the debit; for `seconds`, or until the client disconnects."""

    kind: Literal["hang"] = "hang"
    when: Literal["before", "after"] = "before"
    seconds: float | None = Field(None, gt=0)


class TruncatedJson(FaultScope):
    """Reply with half of the JSON, after the work was done and debited."""

    kind: Literal["truncated_json"] = "truncated_json"


class OddReply(FaultScope):
    """Reply in an odd shape, after the work was done and debited; streams are not changed.

    shape: one of `odd_replies.SHAPES`. body: text to send instead of the shape.
    """

    kind: Literal["odd_reply"] = "odd_reply"
    shape: str = "empty_body"
    body: str | None = None

    @field_validator("shape")
    @classmethod
    def shape_is_known(cls, shape: str) -> str:
        """Return the shape, or raise ValueError if it is unknown."""
        if shape not in SHAPES:
            raise ValueError(f"unknown shape {shape!r}; use one of: {', '.join(SHAPES)}")
        return shape


class KeyEcho(FaultScope):
    """The client's API key in the detail of an error (`status`), in the answer text, or in a header.

    With `answer` and `header` the work is done and debited; this includes streams.
    """

    kind: Literal["key_echo"] = "key_echo"
    where: Literal["error", "answer", "header"] = "error"
    status: int = Field(401, ge=400, le=599)


class SlowBody(FaultScope):
    """Body sent in pieces over `seconds`."""

    kind: Literal["slow_body"] = "slow_body"
    seconds: float = Field(gt=0)


class CutStream(FaultScope):
    """Connection dropped during a stream.

    before: drop after `after_chunks` chunks, without a debit; a shorter stream is not affected.
    after: drop after the debit, instead of sending the receipt and `[DONE]`.
    """

    kind: Literal["cut_stream"] = "cut_stream"
    when: Literal["before", "after"] = "before"
    after_chunks: int = Field(1, ge=0)


class EndpointStops(FaultScope):
    """Endpoint that stops after `after_completions` completions, `times` times; null means no maximum."""

    kind: Literal["endpoint_stops"] = "endpoint_stops"
    times: int | None = Field(1, ge=1)
    after_completions: int = Field(ge=1)


class ModelWeakens(FaultScope):
    """Model that answers at a lower skill level, in completions and eval runs; leaderboards do not change.

    The scope counts answers, not requests.
    """

    kind: Literal["model_weakens"] = "model_weakens"
    route: Route = "any"
    model: str = Field(min_length=1, max_length=200)
    level: int = Field(1, ge=1, le=5)


class PriceChange(FaultScope):
    """Price multiplied by `factor`, for completions and eval runs; leaderboards do not change.

    The scope counts answered requests, not refused ones.
    """

    kind: Literal["price_change"] = "price_change"
    route: Route = "any"
    factor: float = Field(gt=0, le=1_000_000)


class EvalRunFails(FaultScope):
    """Eval run that fails after its start; it is not billed."""

    kind: Literal["eval_run_fails"] = "eval_run_fails"
    route: Route = "eval_runs"
    error: str = "the evaluation worker died (injected by the sandbox)"


class EvalRunHangs(FaultScope):
    """Eval run that stays in `running`."""

    kind: Literal["eval_run_hangs"] = "eval_run_hangs"
    route: Route = "eval_runs"


class DeployFails(FaultScope):
    """Deploy that ends with an `error` event at `at_pct` per cent."""

    kind: Literal["deploy_fails"] = "deploy_fails"
    route: Route = "deploy"
    at_pct: int = Field(60, ge=0, le=100)
    error: str = "no capacity in any region (injected by the sandbox)"


class DeployStreamCut(FaultScope):
    """Progress stream of a deploy that is cut at `at_pct` per cent; the deploy itself continues."""

    kind: Literal["deploy_stream_cut"] = "deploy_stream_cut"
    route: Route = "deploy"
    at_pct: int = Field(60, ge=0, le=100)


Fault = (
    Status
    | Html
    | Latency
    | RateLimit
    | ReplyHeaders
    | Drop
    | Hang
    | TruncatedJson
    | OddReply
    | KeyEcho
    | SlowBody
    | CutStream
    | EndpointStops
    | ModelWeakens
    | PriceChange
    | EvalRunFails
    | EvalRunHangs
    | DeployFails
    | DeployStreamCut
)
FAULT: TypeAdapter[Fault] = TypeAdapter(Annotated[Fault, Field(discriminator="kind")])
