"""What one can choose when a sandbox starts."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pareta_sandbox.state.money import MICRO_PER_USD

DEFAULT_KEY = "pareta_sk_sandbox"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a sandbox behaves; the defaults are fast, for tests.

    latency_ms: the time a completion takes, in milliseconds; None gives every model its own.
    cold_start_s, deploy_s: how long `start` and a deploy take, in seconds.
    eval_s: the least time an eval run takes, in seconds.
    allow_hosts: the host names, beside this machine's own, that a request may name as its `Host`.
    keys: the API keys that are good; empty means every key that starts with `pareta_sk_`.
    idempotency: whether a repeated `Idempotency-Key` is answered from memory and billed once; False bills
        every request.
    generation: 1 is a service without idempotency keys, receipts and `model="auto"`.
    upstream: the URL of an OpenAI-compatible server that answers completions instead of the built-in models;
        upstream_model: what to ask it for (None: the first it lists); upstream_key: its key.
    journal: an SQLite file to keep the books in; None keeps them in a temporary one.
    seed: fixes which requests a fault with a share hits.
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
    """Settings that can change while the sandbox runs; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    latency_ms: float | None = Field(None, ge=0)
    cold_start_s: float = Field(0.0, ge=0)
    deploy_s: float = Field(0.0, ge=0)
    eval_s: float = Field(0.0, ge=0)
    idempotency: bool = True

    def changes(self) -> dict[str, object]:
        """Return what was named."""
        return self.model_dump(include=self.model_fields_set)
