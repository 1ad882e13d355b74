"""Reference page of the Python API: the public names, which mkdocstrings documents from the code."""

import inspect
from collections.abc import Iterator
from types import ModuleType

INTRODUCTION = """# Python

The public names of three packages. [The client](../client.md), [batches](../batch.md) and
[the sandbox](../sandbox.md#in-tests)
have programs to begin with.
"""
OF_A_BATCH = (
    "Batch",
    "BatchReport",
    "Ledger",
    "ParetaCompleter",
    "BatchError",
    "BatchBusy",
    "BatchStopped",
    "DatasetError",
    "LedgerError",
)
"""Names of `pareta_batch` for programs; its other names serve the flows."""


def python_page() -> str:
    """Return the page with one directive of mkdocstrings for each name."""
    import pareta_batch
    import pareta_batch.run
    import pareta_client
    import pareta_sandbox.testing as testing

    parts = [
        INTRODUCTION,
        "## pareta_client",
        *_directives(pareta_client, dir(pareta_client)),
        "## pareta_batch",
        *_directives(pareta_batch, OF_A_BATCH),
        *_directives(pareta_batch.run, ("run_batch", "retry_failed")),
        "## pareta_sandbox.testing",
        *_directives(testing, testing.__all__),
    ]
    return "\n\n".join(parts)


def _directives(module: ModuleType, names: object) -> Iterator[str]:
    """Yield a directive for each class and function, by the module that defines it."""
    assert isinstance(names, list | tuple)
    for name in names:
        public = getattr(module, name)
        if inspect.isclass(public) or inspect.isfunction(public):
            yield f"::: {public.__module__}.{public.__qualname__}"
