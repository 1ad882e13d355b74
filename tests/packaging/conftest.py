"""A sandbox of the service for the programs of a wheel."""

from pareta_sandbox.pytest_plugin import sandbox

__all__ = ["sandbox"]
