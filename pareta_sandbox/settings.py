"""What one can choose when a sandbox starts."""

from dataclasses import dataclass
from typing import Literal

from pareta_sandbox.money import MICRO_PER_USD

DEFAULT_KEY = "pareta_sk_sandbox"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a sandbox behaves; the defaults are fast, for tests.

    latency_ms: the time a completion takes, in milliseconds; None gives every model its own.
    cold_start_s, deploy_s: how long `start` and a deploy take, in seconds.
    eval_s: the least time an eval run takes, in seconds.
    keys: the API keys that are good; empty means every key that starts with `pareta_sk_`.
    idempotency: whether a repeated `Idempotency-Key` is answered from memory and billed once; False bills
        every request.
    generation: 1 is a service without idempotency keys, receipts and `model="auto"`.
    seed: fixes which requests a fault with a share hits.
    """

    host: str = "127.0.0.1"
    port: int = 0
    balance_micro_usd: int = 100 * MICRO_PER_USD
    keys: tuple[str, ...] = ()
    latency_ms: float | None = 0.0
    cold_start_s: float = 0.0
    deploy_s: float = 0.0
    eval_s: float = 0.0
    idempotency: bool = True
    generation: Literal[1, 2] = 2
    seed: int = 0
