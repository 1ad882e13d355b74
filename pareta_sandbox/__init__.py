"""A local Pareta service over HTTP: same wire format, real answers, exact books, and faults on demand.

Tests use `testing` and `pytest_plugin`; people use `python -m pareta_sandbox`. Everything else is internal. The package
imports no other package of this project, and no other package imports it: both sides stay independent readings of
the specification.
"""

__all__ = ["pytest_plugin", "testing"]
