"""The faults one can ask for. Each says where it strikes, how often and for how long, and repeats with the seed."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from pareta_sandbox.faults.odd_replies import SHAPES

Route = Literal["chat", "models", "endpoints", "deploy", "tasks", "eval_sets", "eval_runs", "any"]
RetryAfter = Literal["none", "seconds", "fractional", "date"]


class Strikes(BaseModel):
    """Where and when a fault strikes.

    route, endpoint: only these requests. times: at most so many. share: this share of them (seeded).
    skip: lets the first few through. after_s, for_s: the period, in seconds from now.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    route: Route = "chat"
    endpoint: str | None = None
    times: int | None = Field(None, ge=1)
    share: float = Field(1.0, gt=0, le=1)
    skip: int = Field(0, ge=0)
    after_s: float = Field(0.0, ge=0)
    for_s: float | None = Field(None, gt=0)


class Status(Strikes):
    """Answer with an error status before any work, with or without Retry-After.

    broken_off: the connection is dropped in the middle of the body.
    """

    kind: Literal["status"] = "status"
    status: int = Field(500, ge=400, le=599)
    detail: str = "injected by the sandbox"
    retry_after_s: float | None = Field(None, ge=0)
    retry_after: RetryAfter = "seconds"
    broken_off: bool = False


class Html(Strikes):
    """Answer as a proxy in front of the service does: an HTML page, no JSON."""

    kind: Literal["html"] = "html"
    status: int = Field(502, ge=400, le=599)


class Latency(Strikes):
    """Take longer: `ms` is the median; with `sigma` the times are log-normal around it."""

    kind: Literal["latency"] = "latency"
    ms: float = Field(ge=0)
    sigma: float = Field(0.0, ge=0, le=3)


class RateLimit(Strikes):
    """Allow a rate (a token bucket) and a number of completions at once; refuse the rest with 429."""

    kind: Literal["rate_limit"] = "rate_limit"
    per_s: float | None = Field(None, gt=0)
    burst: int = Field(1, ge=1)
    concurrent: int | None = Field(None, ge=1)
    retry_after: RetryAfter = "seconds"


class Drop(Strikes):
    """Drop the connection: before any work, after the work was debited, or in the middle of the body."""

    kind: Literal["drop"] = "drop"
    when: Literal["before", "after", "in_body"] = "before"
    how: Literal["close", "reset"] = "close"


class Hang(Strikes):
    """Say nothing, before any work or after it was debited; for some seconds, or until the caller hangs up."""

    kind: Literal["hang"] = "hang"
    when: Literal["before", "after"] = "before"
    seconds: float | None = Field(None, gt=0)


class TruncatedJson(Strikes):
    """Do the work and debit it, but answer with half of the JSON in an otherwise correct reply."""

    kind: Literal["truncated_json"] = "truncated_json"


class OddReply(Strikes):
    """Do the work and debit it, but answer in an odd shape, one of `odd_replies.SHAPES`; streams are left alone.

    body: answer with this text instead, whatever the shape.
    """

    kind: Literal["odd_reply"] = "odd_reply"
    shape: str = "empty_body"
    body: str | None = None

    @field_validator("shape")
    @classmethod
    def shape_is_known(cls, shape: str) -> str:
        """Return a shape that exists."""
        if shape not in SHAPES:
            raise ValueError(f"there is no shape {shape!r}; there are: {', '.join(SHAPES)}")
        return shape


class KeyEcho(Strikes):
    """Tell the caller its own API key: in the detail of an error (`status`), in the text of the answer, or in a header.

    In an answer, a stream too, the work is done and debited.
    """

    kind: Literal["key_echo"] = "key_echo"
    where: Literal["error", "answer", "header"] = "error"
    status: int = Field(401, ge=400, le=599)


class SlowBody(Strikes):
    """Send the body in pieces over some seconds."""

    kind: Literal["slow_body"] = "slow_body"
    seconds: float = Field(gt=0)


class CutStream(Strikes):
    """Drop the connection in a stream.

    before: after so many chunks, and what was cut is not debited (a shorter stream is left alone).
    after: when the work was debited, instead of the receipt and `[DONE]`.
    """

    kind: Literal["cut_stream"] = "cut_stream"
    when: Literal["before", "after"] = "before"
    after_chunks: int = Field(1, ge=0)


class EndpointStops(Strikes):
    """Let an endpoint stop itself after so many completions: `times` says how often, null again and again."""

    kind: Literal["endpoint_stops"] = "endpoint_stops"
    times: int | None = Field(1, ge=1)
    after_completions: int = Field(ge=1)


class ModelWeakens(Strikes):
    """Let a model answer as one of a lower level does, in completions and eval runs; what is listed of it stays.

    It counts answers, not requests.
    """

    kind: Literal["model_weakens"] = "model_weakens"
    route: Route = "any"
    model: str = Field(min_length=1, max_length=200)
    level: int = Field(1, ge=1, le=5)


class PriceChange(Strikes):
    """Bill completions and eval runs at `factor` times their price; the leaderboards stay.

    It counts requests that are answered, not those that are refused.
    """

    kind: Literal["price_change"] = "price_change"
    route: Route = "any"
    factor: float = Field(gt=0, le=1_000_000)


class EvalRunFails(Strikes):
    """Let an eval run fail after it has started; it is not billed."""

    kind: Literal["eval_run_fails"] = "eval_run_fails"
    route: Route = "eval_runs"
    error: str = "the evaluation worker died (injected by the sandbox)"


class EvalRunHangs(Strikes):
    """Let an eval run stay in `running`."""

    kind: Literal["eval_run_hangs"] = "eval_run_hangs"
    route: Route = "eval_runs"


class DeployFails(Strikes):
    """Let a deploy end in an `error` event at some per cent."""

    kind: Literal["deploy_fails"] = "deploy_fails"
    route: Route = "deploy"
    at_pct: int = Field(60, ge=0, le=100)
    error: str = "no capacity in any region (injected by the sandbox)"


class DeployStreamCut(Strikes):
    """Cut the progress stream of a deploy at some per cent; the deploy itself goes on."""

    kind: Literal["deploy_stream_cut"] = "deploy_stream_cut"
    route: Route = "deploy"
    at_pct: int = Field(60, ge=0, le=100)


Fault = (
    Status
    | Html
    | Latency
    | RateLimit
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
