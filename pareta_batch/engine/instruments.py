"""The metrics of sessions, of other work, and of purchases."""

from typing import Any

from opentelemetry import metrics

from pareta_batch.spec import Batch

TOKEN_BUCKETS = [4**power for power in range(14)]
"""Boundaries of the semantic conventions, in tokens."""
DURATION_BUCKETS_S = [0.01 * 2**power for power in range(14)]
"""Boundaries of the semantic conventions, in seconds."""


class Instruments:
    """The metrics, made by the meter provider of the process; a second call returns the same instruments."""

    def __init__(self) -> None:
        meter = metrics.get_meter("pareta_batch")
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens of the received answers.",
            explicit_bucket_boundaries_advisory=TOKEN_BUCKETS,
        )
        self.duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="Duration of the calls, answered or not.",
            explicit_bucket_boundaries_advisory=DURATION_BUCKETS_S,
        )
        self.spend = meter.create_counter(
            "pareta.batch.spend", unit="{micro_usd}", description="Receipts that this process received."
        )
        self.billed = meter.create_gauge(
            "pareta.batch.billed", unit="{micro_usd}", description="Receipts of all runs of the batch."
        )
        self.budget_left = meter.create_gauge(
            "pareta.batch.budget.left", unit="{micro_usd}", description="Budget without receipts and doubts."
        )
        self.refusals = meter.create_counter(
            "pareta.batch.refusals", unit="{refusal}", description="Calls refused for a limit, credit or readiness."
        )
        self.purchases = meter.create_counter(
            "pareta.purchase.spend", unit="{micro_usd}", description="Bills that are new in the ledger."
        )
        self.work = meter.create_histogram(
            "pareta.work.duration",
            unit="s",
            description="Duration of comparisons, watches and deployments.",
            explicit_bucket_boundaries_advisory=DURATION_BUCKETS_S,
        )
        self.in_flight = meter.create_up_down_counter(
            "pareta.batch.calls.in_flight", unit="{call}", description="Calls in flight."
        )

    def set_money(self, batch: Batch, billed_micro_usd: int, left_micro_usd: int | None) -> None:
        """Set the receipts and the budget left of a batch, None for a batch without a budget."""
        named = attributes_of(batch)
        self.billed.set(billed_micro_usd, named)
        if left_micro_usd is not None:
            self.budget_left.set(left_micro_usd, named)


def attributes_of(batch: Batch) -> dict[str, Any]:  # values of OpenTelemetry attributes
    """Return the attributes of the metrics and spans of a batch: its name, model and owner."""
    owner = {f"pareta.{kind}": name for kind, name in batch.tags.named().items()}
    return {"pareta.batch": batch.name, "gen_ai.request.model": batch.model, **owner}
