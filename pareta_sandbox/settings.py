"""Settings of a sandbox: at the start and while it runs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pareta_sandbox.state.money import MICRO_PER_USD

DEFAULT_KEY = "pareta_sk_sandbox"


@dataclass(frozen=True, slots=True)
class Settings:
    """Behaviour of a sandbox; the defaults are fast, for tests.

    latency_ms: duration of a completion, in milliseconds; None means the latency of each model.
    cold_start_s, deploy_s: duration of `start` and of a deploy, in seconds.
    eval_s: minimum duration of an eval run, in seconds.
    allow_hosts: further host names that a request may send as `Host`, besides this machine's own.
    keys: valid API keys; empty means every key that starts with `pareta_sk_`.
    idempotency: whether a repeated `Idempotency-Key` returns the stored answer and is billed once; False
        bills every request.
    generation: 1 means a service without idempotency keys, receipts and `model="auto"`.
    upstream: URL of an OpenAI-compatible server that answers completions instead of the built-in models.
    upstream_model: model to request from it; None means the first in its list.
    upstream_key: API key of the upstream.
    journal: SQLite file for the books; None means a temporary file.
    seed: selects the requests that a fault with a share affects.
    """

    host: str = "127.0.0.1"
    port: int = 0
    allow_hosts: tuple[str, ...] = ()
    balance_micro_usd: int = 100 * MICRO_PER_USD
    keys: tuple[str, ...] = ()
    latency_ms: float | None = 0.0
    cold_start_s: float = 0.0
    deploy_s: float = 0.0
    eval_s: float = 0.0
    idempotency: bool = True
    generation: Literal[1, 2] = 2
    seed: int = 0
    journal: Path | None = None
    upstream: str | None = None
    upstream_model: str | None = None
    upstream_key: str | None = field(default=None, repr=False)


class Change(BaseModel):
    """Settings that can change while the sandbox runs; omitted fields keep their values."""

    model_config = ConfigDict(extra="forbid")

    latency_ms: float | None = Field(None, ge=0)
    cold_start_s: float = Field(0.0, ge=0)
    deploy_s: float = Field(0.0, ge=0)
    eval_s: float = Field(0.0, ge=0)
    idempotency: bool = True

    def changes(self) -> dict[str, object]:
        """Return the fields that were sent."""
        return self.model_dump(include=self.model_fields_set)
