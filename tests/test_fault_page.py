"""The page of faults: each test that it names exists, and no test of the faults of the ledger is left out."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NODE = re.compile(r"`?(tests/[\w/]+\.py)::(\w+)")
PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
NAMED = sorted(set(NODE.findall(PAGE)))
OF_THE_LEDGER = ["test_crashes.py", "test_faults.py", "test_lost_ledgers.py"]
ARE_NO_FAULTS = {
    "test_claims_are_refused_once_another_run_has_the_lock_and_outcomes_are_not",
    "test_runs_of_several_batches_at_once_are_not_taken_for_a_restored_backup",
}


@cache
def names_in(file: Path) -> set[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, functions)}


def test_there_are_many() -> None:
    assert len(NAMED) > 60


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda part: part)
def test_a_test_that_the_page_names_exists(file: str, name: str) -> None:
    assert (ROOT / file).exists()
    assert name in names_in(ROOT / file)


def test_every_row_names_its_fault_its_outcome_and_one_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| fault |")]
    for row in rows:
        fault, outcome, test = (cell.strip() for cell in row.strip("|").split("|"))
        assert fault
        assert outcome
        assert NODE.fullmatch(test.strip("`")), row


@pytest.mark.parametrize("file", OF_THE_LEDGER)
def test_every_fault_of_the_ledger_stands_on_the_page(file: str) -> None:
    tests = {name for name in names_in(ROOT / "tests" / "batch" / file) if name.startswith("test_")}
    assert tests - ARE_NO_FAULTS <= {name for _, name in NAMED}


def test_tests_marked_for_both_databases_run_on_both() -> None:
    for row in (line for line in PAGE.splitlines() if line.startswith("| ") and " ² |" in line):
        file = NODE.findall(row)[0][0]
        text = (ROOT / file).read_text(encoding="utf-8")
        assert "on_both_databases" in text or "mostly_on_sqlite" in text, row
