"""Error of a run whose quote a person declined."""

from pareta_batch import BatchError


class Declined(BatchError):
    """A quote that a person declined; nothing was sent."""
