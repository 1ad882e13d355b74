"""`pareta-pipeline init` writes a commented spec that passes `validate`, and asks only on a terminal."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from pareta_batch.engine.planning import register_rows
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.spec import Batch
from pareta_cli.app import app
from pareta_cli.dataset_profile import id_column, label_column, profile, text_column
from pareta_cli.first_spec import block, name_for, scalar, schema_reference, with_column
from pareta_cli.options import SPEC_ENDINGS, files_with
from pareta_cli.spec_reader import read_value
from pareta_cli.specs import read_spec
from tests.batch.batches import batch_in
from tests.examples import share_of

TICKETS = [
    {"id": f"T-{n}", "ticket": f"Ticket number {n}: I was charged twice for it.", "team": ["billing", "sales"][n % 2]}
    for n in range(40)
]
Rows = Sequence[Mapping[str, object]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARETA_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
    return tmp_path


def write_jsonl(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path: Path, rows: Rows) -> Path:
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    path.write_text("\n".join(",".join(f'"{cell}"' for cell in line) for line in lines), encoding="utf-8")
    return path


def write_parquet(path: Path, rows: Rows) -> Path:
    pyarrow.parquet.write_table(pa.Table.from_pylist(list(map(dict, rows))), path)
    return path


WRITERS: Mapping[str, Callable[[Path, Rows], Path]] = {
    ".jsonl": write_jsonl,
    ".csv": write_csv,
    ".parquet": write_parquet,
}


def init(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["init", *arguments])


def is_valid(spec: str) -> bool:
    return CliRunner().invoke(app, ["validate", spec]).exit_code == 0


@pytest.mark.parametrize("suffix", list(WRITERS))
def test_the_spec_has_the_columns_an_id_a_prompt_and_a_guess_and_is_valid(folder: Path, suffix: str) -> None:
    WRITERS[suffix](folder / f"tickets{suffix}", TICKETS)
    ended = init(f"tickets{suffix}")
    assert ended.exit_code == 0, ended.output
    text = (folder / "tickets.yaml").read_text()
    assert re.findall(r"^#   (\w+): ", text, re.MULTILINE) == ["id", "ticket", "team"]
    batch = read_spec(Batch, Path("tickets.yaml"))
    assert (batch.id_column, batch.max_in_flight) == ("id", 10)
    assert batch.prompt == "Which team fits this text? Answer with one of: billing, sales.\n\n{ticket}"
    assert is_valid("tickets.yaml")


def test_the_first_line_names_a_schema_that_an_editor_finds(folder: Path) -> None:
    write_jsonl(folder / "tickets.jsonl", TICKETS)
    init("tickets.jsonl", "--output", "specs/deep/batch.yaml")
    line, *_ = (folder / "specs/deep/batch.yaml").read_text().splitlines()
    reference = line.removeprefix("# yaml-language-server: $schema=")
    schema = json.loads((folder / "specs/deep" / reference).read_text())
    assert "dataset" in schema["properties"]
    assert schema_reference(Path("spec.yaml"), Path(".pareta/schemas/complete.json")).startswith("./.pareta/")


def test_a_spec_that_exists_is_never_replaced_without_force(folder: Path) -> None:
    write_jsonl(folder / "tickets.jsonl", TICKETS)
    (folder / "tickets.yaml").write_text("mine")
    refused = init("tickets.jsonl")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "add --force" in refused.stderr
    assert (folder / "tickets.yaml").read_text() == "mine"
    assert init("tickets.jsonl", "--force").exit_code == 0
    assert is_valid("tickets.yaml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "dataset: none named"),
        (["nowhere.csv"], "there is no such file"),
        (["tickets.docx"], "unsupported format"),
        (["tickets.jsonl", "--output", "spec.json"], "end its name in .yaml or .yml"),
        (["tickets.jsonl", "--prompt", "{nothing}"], "has no column 'nothing'"),
        (["tickets.jsonl", "--id-column", "team"], "duplicate id"),
        (["tickets.jsonl", "--id-column", "nope"], "has no column 'nope'"),
        (["tickets.jsonl", "--name", "no spaces"], "name: String should match pattern"),
        (["gaps.jsonl"], "no column has a value in every row"),
        (["tickets.jsonl", "--output", "tickets.jsonl/x.yaml"], "not writable"),
    ],
)
def test_what_cannot_be_a_spec_is_2_and_one_line_and_writes_none(folder: Path, arguments: list[str], said: str) -> None:
    write_jsonl(folder / "tickets.jsonl", TICKETS)
    write_jsonl(folder / "gaps.jsonl", [{"a": "x", "b": None}, {"a": None, "b": "y"}])
    (folder / "tickets.docx").touch()
    ended = init(*arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert not list(folder.rglob("*.yaml"))


def test_options_take_the_place_of_guesses(folder: Path) -> None:
    write_jsonl(folder / "tickets.jsonl", TICKETS)
    ended = init(
        *("tickets.jsonl", "--name", "other", "--id-column", "none", "--prompt", "Translate it.", "--model", "ep_1")
    )
    assert ended.exit_code == 0, ended.output
    batch = read_spec(Batch, Path("other.yaml"))
    assert (batch.name, batch.model, batch.id_column) == ("other", "ep_1", None)
    assert batch.prompt == "Translate it.\n\n{ticket}"


def test_it_asks_on_a_terminal_and_takes_the_answers(folder: Path) -> None:
    write_jsonl(folder / "tickets.jsonl", TICKETS)
    program = "import sys; sys.argv[0] = 'pareta-pipeline'; from pareta_cli.app import main; main()"
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", program, "init"], stdin=theirs, stdout=theirs, stderr=theirs) as asked:
        os.close(theirs)
        os.write(ours, b"tickets.jsonl\nmine\n\nSay yes.\n")
        assert asked.wait(60) == 0
    os.close(ours)
    batch = read_spec(Batch, Path("mine.yaml"))
    assert (batch.name, batch.id_column, batch.prompt) == ("mine", "id", "Say yes.\n\n{ticket}")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["text", "id"], "id"),
        (["text", "ID"], "ID"),
        (["ticket_id", "text"], "ticket_id"),
        (["ticketId", "text"], "ticketId"),
        (["text", "uuid"], "uuid"),
        (["text", "order no"], "order no"),
        (["customer-key", "id"], "id"),
        (["text", "valid"], None),
        (["text", "grid"], None),
        (["text", "paid"], None),
    ],
)
def test_the_id_column_is_found_by_its_name(names: list[str], found: str | None) -> None:
    rows = [{name: f"{name} {n}" for name in names} for n in range(5)]
    column = id_column(profile(names, rows))
    assert (column.name if column else None) == found


@pytest.mark.parametrize("values", [["a", "a"], ["a", None], ["a", ""], ["a", float("nan")], ["x" * 101, "y"]])
def test_a_column_that_is_not_unique_full_and_short_is_no_id(values: list[object]) -> None:
    assert id_column(profile(["id"], [{"id": value} for value in values])) is None


def test_whole_numbers_are_ids() -> None:
    column = id_column(profile(["id", "text"], [{"id": n, "text": "x"} for n in range(3)]))
    assert column is not None


@pytest.mark.parametrize(
    ("columns", "text", "label"),
    [
        ({"title": "short {n}", "body": "a much longer text {n}", "stars": "{m}"}, "body", "stars"),
        ({"notes": "the longest of all columns {n}", "question": "why {n}?"}, "question", None),
        ({"a": "x {n}", "b": "longer text {n}"}, "b", None),
        ({"kind": "{m}", "sort": "{m}", "text": "t {n}"}, "text", None),
        ({"kind": "{m}", "label": "{m}", "text": "t {n}"}, "text", "label"),
        ({"bad{name": "a long text that no prompt can name {n}", "x": "{n}"}, "x", None),
    ],
)
def test_the_text_and_the_labels_are_found(columns: dict[str, str], text: str, label: str | None) -> None:
    rows = [{name: form.format(n=n, m=n % 3) for name, form in columns.items()} for n in range(12)]
    seen = profile(list(columns), rows)
    labels = label_column(seen)
    found = text_column(seen, apart_from=(labels,))
    assert (found.name if found else None, labels.name if labels else None) == (text, label)


@pytest.mark.parametrize(
    ("rows", "chars", "expected"), [(1, 10, 1), (40, 10, 10), (4000, 10, 32), (4000, 3000, 16), (400, 30_000, 8)]
)
def test_the_guess_of_calls_in_flight_follows_rows_and_length(
    folder: Path, rows: int, chars: int, expected: int
) -> None:
    write_jsonl(folder / "rows.jsonl", [{"text": f"{n} " + "x" * chars} for n in range(rows)])
    assert init("rows.jsonl").exit_code == 0
    assert read_spec(Batch, Path("rows.yaml")).max_in_flight == expected


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60))
def test_a_scalar_and_a_block_read_as_the_text_that_was_written(text: str) -> None:
    assert read_value(f"x: {scalar(text)}\n") == {"x": text}
    assert read_value(f"x: {block(text)}\n") == {"x": text}


@pytest.mark.parametrize(
    "text", ["007", "true", "null", "a: b", "# a", "- a", "{a}", " a", "a ", "", "1e3", "a\n", "\na"]
)
def test_a_text_that_yaml_would_guess_at_stays_text(text: str) -> None:
    assert read_value(f"x: {scalar(text)}") == {"x": text}
    assert read_value(f"x: {block(text)}") == {"x": text}


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
CELLS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(st.characters(exclude_categories=["Cs"])))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=share_of(40))
@given(columns=st.lists(NAMES, min_size=1, max_size=4, unique=True), data=st.data())
def test_whatever_the_dataset_the_written_spec_is_valid(folder: Path, columns: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(columns, CELLS)), min_size=1, max_size=5))
    write_jsonl(folder / "any.jsonl", rows)
    ended = init("any.jsonl", "--force")
    assert ended.exit_code in (0, 2), ended.output
    if ended.exit_code == 0:
        assert is_valid("any.yaml"), (folder / "any.yaml").read_text()
    else:
        assert "no column has a value in every row" in ended.stderr, ended.stderr


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("tickets.csv", "tickets"),
        ("a b (1).csv", "a-b-1"),
        ("äöü.csv", "batch"),
        ("-x.csv.gz", "x"),
        ("2026-11.csv", "2026-11"),
    ],
)
def test_a_name_is_made_of_the_file(file: str, name: str) -> None:
    assert name_for(f"folder/{file}") == name


@pytest.mark.parametrize(
    ("prompt", "whole"), [("Do {x}", "Do {x}"), ("Do it", "Do it\n\n{t}"), ("{{x}}", "{{x}}\n\n{t}")]
)
def test_a_prompt_without_a_column_gets_one(prompt: str, whole: str) -> None:
    assert with_column(prompt, "t") == whole


def test_an_api_key_in_the_dataset_does_not_reach_the_spec(folder: Path) -> None:
    key = "pareta_sk_0123456789abcdef"
    write_jsonl(folder / "keys.jsonl", [{"id": n, "text": f"text {n}", key: key} for n in range(4)])
    init("keys.jsonl")
    assert key not in "".join(path.read_text() for path in folder.glob("*.yaml"))


def test_spec_files_and_folders_are_completed(folder: Path) -> None:
    (folder / "specs").mkdir()
    for name in ("a.yaml", "b.yml", "c.json", "d.csv", ".hidden.yaml", "specs/e.yaml"):
        (folder / name).touch()
    complete = files_with(SPEC_ENDINGS)
    assert complete("") == ["a.yaml", "b.yml", "c.json", "specs/"]
    assert complete("a") == ["a.yaml"]
    assert complete(".h") == [".hidden.yaml"]
    assert complete("specs/") == ["specs/e.yaml"]
    assert complete(f"{folder}/sp") == [f"{folder}/specs/"]
    assert complete("nowhere/") == []


@pytest.mark.parametrize("command", ["status", "pause", "resume", "set"])
def test_a_shell_completes_the_names_of_batches(folder: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("PARETA_LEDGER_URL", f"sqlite:///{folder}/ledger.db")
    assert (completed(f"pareta-pipeline {command} "), list(folder.iterdir())) == (set(), [])
    with closing(Ledger.open()) as ledger:
        for name in ("tickets", "tickets-2", "reviews"):
            register_rows(batch_in(folder, name=name), ledger)
    assert completed(f"pareta-pipeline {command} tick") == {"tickets", "tickets-2"}
    assert completed(f"pareta-pipeline {command} ") == {"tickets", "tickets-2", "reviews"}
    monkeypatch.setenv("PARETA_LEDGER_URL", "mysql://nowhere")
    assert completed(f"pareta-pipeline {command} ") == set()


def completed(words: str) -> set[str]:
    """Return what bash offers after these words."""
    asked = {"_PARETA_PIPELINE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    return set(CliRunner().invoke(app, [], env=asked, prog_name="pareta-pipeline").stdout.split())


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("pareta-pipeline comp", {"complete", "compare"}),
        ("pareta-pipeline complete ", {"batch.yaml"}),
        ("pareta-pipeline init ", {"rows.csv"}),
        ("pareta-pipeline schema de", {"deploy"}),
        ("pareta-pipeline complete --sam", {"--sample"}),
    ],
)
def test_a_shell_completes_commands_options_and_files(folder: Path, words: str, found: set[str]) -> None:
    (folder / "batch.yaml").touch()
    (folder / "rows.csv").touch()
    assert completed(words) == found
