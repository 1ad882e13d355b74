"""Errors of a run whose quote needs the approval of a person."""

from pareta_batch import BatchError


class ApprovalNeeded(BatchError):
    """A quote above `approve_above_usd` where no person can be asked; nothing was sent."""


class Declined(BatchError):
    """A quote that a person declined; nothing was sent."""
