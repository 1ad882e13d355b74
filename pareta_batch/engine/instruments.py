"""The metrics of sessions."""

from opentelemetry import metrics

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
        self.in_flight = meter.create_up_down_counter(
            "pareta.batch.calls.in_flight", unit="{call}", description="Calls in flight."
        )
