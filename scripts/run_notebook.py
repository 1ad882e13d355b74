"""Execution of the notebook of the examples against a sandbox: `python -m scripts.run_notebook` writes its outputs."""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

from pareta_sandbox.testing import running

NOTEBOOK = Path(__file__).parents[1] / "examples" / "from_python.ipynb"
TIMEOUT_S = 300
"""Seconds for one cell. Raising it delays the error of a cell that hangs."""


def execute(source: Path, target: Path) -> None:
    """Execute a notebook with an empty ledger and write it with its outputs; raises CellExecutionError."""
    notebook = nbformat.read(source, as_version=4)  # type: ignore[no-untyped-call]
    with running() as sandbox, TemporaryDirectory() as folder:
        os.environ.update(
            PARETA_API_KEY=sandbox.api_key,
            PARETA_BASE_URL=sandbox.base_url,
            PARETA_LEDGER_URL=f"sqlite:///{folder}/ledger.db",
        )
        NotebookClient(
            notebook, timeout=TIMEOUT_S, kernel_name="python3", resources={"metadata": {"path": folder}}
        ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of this run
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    nbformat.write(notebook, target)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    execute(NOTEBOOK, Path(sys.argv[1]) if len(sys.argv) > 1 else NOTEBOOK)
