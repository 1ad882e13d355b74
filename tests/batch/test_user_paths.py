"""`~` at the start of a path is the home directory, wherever a path enters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.bounds import Bounds
from flows.parameters import Pipeline, Watch
from pareta_batch import Batch, LedgerError
from pareta_batch.ledger.url import file_to_open, ledger_url
from pareta_batch.user_path import expand_user
from pareta_evals import Comparisons, ComparisonSpec

WORK = {"dataset": "rows.csv", "prompt": "{text}"}
BATCH = {"name": "b", "model": "auto", **WORK}
COMPARISON = {"name": "c", "task": "t", "rows": "rows.csv", "models": ["m"]}


def pipeline(**fields: object) -> Pipeline:
    return Pipeline.model_validate({"name": "p", "model": "auto", "batch": WORK} | fields)


def file_of(url: str) -> str:
    file = file_to_open(ledger_url(url))
    assert file is not None
    return str(file)


ENTRIES: dict[str, Callable[[str], str | None]] = {
    "dataset": lambda path: str(Batch.model_validate(BATCH | {"dataset": path}).dataset),
    "dataset with options": lambda path: str(Batch.model_validate(BATCH | {"dataset": {"path": path}}).dataset),
    "examples": lambda path: str(Batch.model_validate(BATCH | {"examples": path}).examples),
    "output": lambda path: str(Batch.model_validate(BATCH | {"output": path}).output_path),
    "page": lambda path: str(Batch.model_validate(BATCH | {"output": path}).page_path.with_suffix(".jsonl")),
    "eval rows": lambda path: str(ComparisonSpec.model_validate(COMPARISON | {"rows": path}).rows),
    "report of comparisons": lambda path: (
        Comparisons.model_validate({"name": "c", "comparisons": [COMPARISON], "report": path}).report_path
    ),
    "report of a pipeline": lambda path: pipeline(report=path).report_path,
    "dataset of a pipeline": lambda path: str(pipeline(batch=WORK | {"dataset": path}).batch_on("auto").dataset),
    "plot": lambda path: Watch.model_validate({"name": "w", "comparison": COMPARISON, "plot": path}).plot_path,
    "folder": lambda path: Bounds.model_validate({"folder": path, "budget_usd": 1, "origins": ["o"]}).folder,
    "ledger": lambda path: file_of(f"sqlite:///{path}"),
    "ledger with a driver": lambda path: file_of(f"sqlite+aiosqlite:///{path}?timeout=5"),
    "ledger by URI": lambda path: file_of(f"sqlite:///file:{path}?uri=true"),
}
entries = pytest.mark.parametrize("entry", ENTRIES)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")


@pytest.mark.parametrize("entry", [each for each in ENTRIES if not each.startswith("ledger")])
def test_a_path_object_is_its_text(entry: str) -> None:
    # As Python programs give it; the same field takes text.
    given: Any = Path("data/x.jsonl")
    assert ENTRIES[entry](given) == ENTRIES[entry]("data/x.jsonl")


@entries
def test_a_tilde_is_the_home_directory(entry: str) -> None:
    assert ENTRIES[entry]("~/data/x.jsonl") == "/home/someone/data/x.jsonl"


@entries
@pytest.mark.parametrize("path", ["/data/x.jsonl", "data/x.jsonl", "data/~/x.jsonl", "data/~x.jsonl", "x~.jsonl"])
def test_any_other_path_is_unchanged(entry: str, path: str) -> None:
    assert ENTRIES[entry](path) == path


@entries
def test_the_folder_of_an_unknown_user_is_refused(entry: str) -> None:
    with pytest.raises((ValueError, LedgerError), match=r"'~nobody-here/x.jsonl': no user 'nobody-here'.*full path"):
        ENTRIES[entry]("~nobody-here/x.jsonl")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("~", "/home/someone"),
        ("~/", "/home/someone/"),
        ("~backup.csv", "~backup.csv"),
        ("~$rows.csv", "~$rows.csv"),
        ("./~/x", "./~/x"),
        ("", ""),
    ],
)
def test_a_file_name_that_names_no_user_is_a_file_name(path: str, expected: str) -> None:
    assert expand_user(path) == expected


def test_a_named_user_has_his_own_home() -> None:
    assert Path(expand_user("~root/x")) == Path("~root/x").expanduser()


WRITTEN_HERE = ("report of comparisons", "report of a pipeline", "plot")


@pytest.mark.parametrize("entry", WRITTEN_HERE)
@pytest.mark.parametrize("url", ["s3://AKIA:geheim@bucket/r.html", "gs://bucket/r.html", "file:///r.html", "S3://b/r"])
def test_a_report_at_a_url_is_refused_before_anything_is_sent(entry: str, url: str) -> None:
    with pytest.raises(
        ValueError, match=r"://… is a URL, and the file is written on this machine; write a path"
    ) as refused:
        ENTRIES[entry](url)
    assert "geheim" not in str(refused.value).split("input_value")[0]
