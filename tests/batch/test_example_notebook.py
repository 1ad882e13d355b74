"""The notebook of the examples holds its outputs, and runs to the same ones."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples/from_python.ipynb"


def outputs(path: Path) -> list[list[Any]]:  # JSON of the notebook's format
    """Return the outputs of each code cell, without the lines of a progress, which have times."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [[_text(each) for each in cell["outputs"]] for cell in cells if cell["cell_type"] == "code"]


def _text(output: Any) -> Any:
    if output["output_type"] == "stream":
        return [line for line in "".join(output["text"]).splitlines() if " in flight" not in line]
    return output.get("data", output)


def test_every_cell_was_executed_in_order_and_without_an_error() -> None:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    assert not [each for cell in cells for each in cell["outputs"] if each["output_type"] == "error"]
    assert [cell["source"] for cell in cells if cell["outputs"]] == [cell["source"] for cell in cells]


@pytest.mark.long
def test_it_runs_to_the_outputs_that_it_holds(tmp_path: Path) -> None:
    executed = tmp_path / "executed.ipynb"
    subprocess.run([sys.executable, "-m", "scripts.run_notebook", str(executed)], check=True, cwd=NOTEBOOK.parents[1])
    assert outputs(executed) == outputs(NOTEBOOK)
