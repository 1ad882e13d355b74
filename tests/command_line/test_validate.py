"""`pareta-pipeline validate` finds every fault that needs no call, and `schema` describes every spec."""

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from typer.testing import CliRunner, Result

from pareta_cli.app import app
from pareta_cli.spec_kinds import OTHER_NAMES, Command, command_for, kind_of
from pareta_cli.spec_schema import schema_of
from pareta_cli.specs import SpecError, fields_of, spec_from
from tests.batch.test_replaceable import attribute
from tests.examples import share_of

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

TICKETS = "id,ticket,team\nT-1,I was charged twice,billing\nT-2,It crashes,technical\n"
EVAL_ROWS = '{"input": "a", "expected": "x"}\n{"input": "b", "expected": "y"}\n'
BATCH = {"name": "tickets", "model": "auto", "dataset": "tickets.csv", "prompt": "Route {ticket}", "id_column": "id"}
WORK = {name: value for name, value in BATCH.items() if name not in ("name", "model")}
COMPARISON = {"name": "teams", "task": "routing", "rows": "eval.jsonl", "models": ["wren-1"]}
SPECS: Mapping[Command, dict[str, Any]] = {
    Command.COMPLETE: BATCH,
    Command.COMPARE: {"name": "all", "comparisons": [COMPARISON]},
    Command.PROMOTE: {"name": "best", "comparison": COMPARISON, "policy": {"min_rows": 10}},
    Command.WATCH: {"name": "weekly", "comparison": COMPARISON, "plot": "series.svg"},
    Command.RUN: {"name": "all", "task": "t", "batch": WORK, "comparisons": [COMPARISON], "truth_column": "team"},
    Command.DEPLOY: {"name": "live", "task": "routing"},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a dataset and eval rows, without a key and without a service."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARETA_API_KEY", raising=False)
    monkeypatch.setenv("PARETA_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("PARETA_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
    (tmp_path / "tickets.csv").write_text(TICKETS)
    (tmp_path / "eval.jsonl").write_text(EVAL_ROWS)
    return tmp_path


def validate(spec: object, *options: str) -> Result:
    Path("spec.json").write_text(json.dumps(spec))
    return CliRunner().invoke(app, ["validate", "spec.json", *options])


def faults(spec: object, *options: str) -> dict[str, str]:
    """Return the problem of each subject that failed."""
    ended = validate(spec, "--json", *options)
    report = json.loads(ended.stdout)
    found = {check["subject"]: check["text"] for check in report["checks"] if not check["ok"]}
    assert (ended.exit_code, report["ok"]) == ((2, False) if found else (0, True))
    return found


@pytest.mark.parametrize("command", list(Command))
def test_a_good_spec_of_every_command_passes_and_the_checks_are_printed(command: Command) -> None:
    ended = validate(SPECS[command])
    assert ended.exit_code == 0, ended.output
    lines = ended.stdout.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    assert lines[0] == f"ok     spec     spec.json: all fields are valid for {command}"


def test_the_checks_of_a_pipeline_name_each_file_and_what_was_counted() -> None:
    ended = validate(SPECS[Command.RUN])
    assert "tickets.csv: 2 rows, all fit the prompt; unique ids in column 'id'" in ended.stdout
    assert "answers/all.jsonl and all.html can be written" in ended.stdout
    assert "column 'team': 2 labels, 2 different" in ended.stdout
    assert "teams: eval.jsonl: 2 eval rows, no duplicate input" in ended.stdout
    assert "reports/all.html can be written" in ended.stdout


@pytest.mark.parametrize(
    ("command", "changes", "subject", "problem"),
    [
        (Command.COMPLETE, {"max_in_flight": 0}, "spec", "max_in_flight: "),
        (Command.COMPLETE, {"promt": "x"}, "spec", "did you mean prompt?"),
        (Command.COMPLETE, {"budget_usd": 1}, "spec", "budget_usd needs sampling.max_tokens"),
        (Command.COMPLETE, {"dataset": "nowhere.csv"}, "dataset", "nowhere.csv: there is no such file"),
        (Command.COMPLETE, {"prompt": "Route {tickets}"}, "dataset", "has no column 'tickets'"),
        (Command.COMPLETE, {"prompt": "Route {"}, "dataset", "a single '{' at line 1"),
        (Command.COMPLETE, {"prompt": "Route it"}, "dataset", "no column, so all rows would have the same prompt"),
        (Command.COMPLETE, {"id_column": "team", "dataset": "twice.csv"}, "dataset", "duplicate id 'billing'"),
        (Command.COMPLETE, {"dataset": "empty.csv"}, "dataset", "no value for column 'ticket'"),
        (Command.COMPLETE, {"output": "tickets.csv"}, "output", "is the dataset itself"),
        (Command.COMPLETE, {"output": "folder.csv"}, "output", "is a folder"),
        (Command.COMPLETE, {"output": "twice.csv"}, "output", "its present rows are not answers"),
        (Command.COMPLETE, {"output": "tickets.csv/deeper.csv"}, "output", "not writable"),
        (Command.RUN, {"truth_column": "label"}, "labels", "has no column 'label'"),
        (Command.RUN, {"report": "tickets.csv"}, "report", ".csv is reserved for the exports"),
        (Command.RUN, {"task": None}, "spec", "needs a task"),
        (Command.COMPARE, {"comparisons": [COMPARISON | {"rows": "tickets.csv"}]}, "rows", "no value for 'input'"),
        (Command.COMPARE, {"comparisons": [COMPARISON | {"rows": "same.jsonl"}]}, "rows", "duplicate input"),
        (Command.COMPARE, {"report": "page.html"}, "report", "existing file is not a report"),
        (Command.PROMOTE, {"comparison": COMPARISON | {"group_column": "g"}}, "rows", "group column 'g'"),
        (Command.WATCH, {"plot": "tickets.csv"}, "plot", "existing file is not a report of ours"),
        (Command.DEPLOY, {"ready_within_s": 0}, "spec", "ready_within_s"),
    ],
)
def test_a_fault_is_2_and_names_its_subject(
    folder: Path, command: Command, changes: dict[str, Any], subject: str, problem: str
) -> None:
    (folder / "twice.csv").write_text(TICKETS.replace("technical", "billing"))
    (folder / "empty.csv").write_text(TICKETS.replace("It crashes", ""))
    (folder / "same.jsonl").write_text(EVAL_ROWS.replace('"b"', '"a"'))
    for name in ("folder.csv", "page.html"):
        (folder / name).mkdir()
    found = faults(SPECS[command] | changes, "--for", command)
    assert set(found) == {subject}, found
    assert problem in found[subject]
    printed = validate(SPECS[command] | changes, "--for", command).stdout.splitlines()
    assert [line.split()[1] for line in printed if line.startswith("FAULT")] == [subject]
    assert all(line.startswith(("ok ", "FAULT ", " " * 16)) for line in printed)


def test_all_faults_of_a_spec_are_found_at_once(folder: Path) -> None:
    spec = SPECS[Command.RUN] | {"batch": WORK | {"dataset": "no.csv", "output": "tickets.csv"}, "report": "r.csv"}
    assert set(faults(spec)) == {"dataset", "labels", "output", "report"}


@pytest.mark.parametrize("letter", ["i", "a"])
def test_an_output_that_cannot_be_replaced_is_found(folder: Path, letter: str) -> None:
    (folder / "answers.jsonl").touch()
    with attribute(letter, folder / "answers.jsonl"):
        assert "not permitted" in faults(BATCH | {"output": "answers.jsonl"})["output"]
    (folder / "answers.html").touch()
    with attribute(letter, folder / "answers.html"):
        assert "not permitted" in faults(BATCH | {"output": "answers.jsonl"})["output"]


def test_a_ledger_that_cannot_be_opened_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETA_LEDGER_URL", "mysql://host/db")
    assert "unknown dialect 'mysql'" in faults(BATCH)["output"]


def test_set_and_for_are_read_as_by_the_commands() -> None:
    assert faults(BATCH, "--set", "prompt={nothing}").keys() == {"dataset"}
    assert "add --for watch or --for promote" in faults({"name": "x", "comparison": COMPARISON})["spec"]
    assert faults({"name": "x", "comparison": COMPARISON}, "--for", "watch") == {}


def test_a_file_that_is_no_spec_is_a_fault_of_one_line() -> None:
    ended = CliRunner().invoke(app, ["validate", "nowhere.yaml"])
    assert ended.exit_code == 2
    assert (
        ended.stdout == "FAULT  spec     nowhere.yaml: no such file; write a spec with: pareta-pipeline init DATASET\n"
    )


def problems(command: Command, fields: dict[str, Any]) -> list[str]:
    return [error.message for error in validator_of(command).iter_errors(fields)]


@cache
def validator_of(command: Command) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema_of(kind_of(command)), format_checker=jsonschema.FormatChecker())


def example_specs() -> list[tuple[str, dict[str, Any]]]:
    """Return every spec in the examples and in the pages of the documentation."""
    specs = [(path.name, fields_of(path)) for path in sorted((ROOT / "examples").glob("*.yaml"))]
    for page in PAGES:
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)):
            fields = yaml.safe_load(block)
            if isinstance(fields, dict) and fields.keys() & {"dataset", "batch", "comparison", "comparisons"}:
                specs.append((f"{page.name} {number}", fields))
    return specs


@pytest.mark.parametrize(("name", "fields"), example_specs(), ids=lambda each: each if isinstance(each, str) else "")
def test_every_example_spec_fits_its_schema(name: str, fields: dict[str, Any]) -> None:
    command = command_for(Path(name), fields)
    if kind_of(command).model_fields.keys() >= {"name"} and "name" not in fields:
        pytest.skip("an extract")
    assert problems(command, fields) == []


def test_there_are_examples_of_several_commands() -> None:
    assert {command_for(Path(name), fields) for name, fields in example_specs()} >= {Command.RUN, Command.COMPARE}


BAD: list[tuple[Command, dict[str, Any]]] = [
    *((command, {"unknown": 1}) for command in Command),
    *((command, {"name": "no spaces"}) for command in Command),
    (Command.COMPLETE, {"max_in_flight": 0}),
    (Command.COMPLETE, {"max_in_flight": "many"}),
    (Command.COMPLETE, {"prompt": ""}),
    (Command.COMPLETE, {"output": "answers.xlsx"}),
    (Command.COMPLETE, {"tolerated_failures": 2}),
    (Command.COMPLETE, {"sampling": {"temperature": 3}}),
    (Command.COMPLETE, {"budget_usd": 0}),
    (Command.RUN, {"batch": WORK | {"output": "a.txt"}}),
    (Command.RUN, {"batch": WORK | {"sampling": "none"}}),
    (Command.RUN, {"stop_endpoint": "perhaps"}),
    (Command.COMPARE, {"comparisons": []}),
    (Command.COMPARE, {"comparisons": [COMPARISON | {"eval_set": "es_1"}]}),
    (Command.COMPARE, {"comparisons": [{"name": "teams", "task": "routing", "models": ["wren-1"]}]}),
    (Command.COMPARE, {"comparisons": [COMPARISON | {"frontier": "some"}]}),
    (Command.COMPARE, {"comparisons": [COMPARISON | {"baseline_max_age": True}]}),
    (Command.PROMOTE, {"policy": {"min_rows": 0}}),
    (Command.WATCH, {"comparison": COMPARISON | {"margin": -1}}),
    (Command.DEPLOY, {"task": ""}),
]

USER = {"role": "user", "content": "Route {ticket}"}
SYSTEM = {"role": "system", "content": "Be short"}
OPENAI = {"path": "a.jsonl", "format": "openai_batch"}
ATTACHED = {"column": "scan", "path": "scan.png"}
AS_JSON = {"response_format": {"type": "json_object"}}
NO_ROWS = {name: value for name, value in COMPARISON.items() if name != "rows"} | {"eval_set": "es_1"}
BAD_TOGETHER: list[tuple[Command, dict[str, Any]]] = [
    (Command.COMPLETE, {"prompt": None}),
    (Command.COMPLETE, {"messages_column": "chat"}),
    (Command.COMPLETE, {"messages": [USER]}),
    (Command.COMPLETE, {"dataset": OPENAI}),
    (Command.COMPLETE, {"dataset": OPENAI, "prompt": None, "messages": [USER]}),
    (Command.COMPLETE, {"prompt": None, "messages": [SYSTEM, USER], "system_prompt": "Be short"}),
    (Command.COMPLETE, {"prompt": None, "messages": [SYSTEM, SYSTEM]}),
    (Command.COMPLETE, {"prompt": None, "messages": [SYSTEM | {"content": [{"text": "a"}]}, USER]}),
    (Command.COMPLETE, {"attachments": [ATTACHED]}),
    (Command.COMPLETE, {"attachments": [{"kind": "image"}]}),
    (Command.COMPLETE, {"answer_schema": {"type": "object"}, "sampling": AS_JSON}),
    (Command.COMPLETE, {"ask_again": 1}),
    (Command.COMPLETE, {"ask_again": 1, "sampling": {"temperature": 0}}),
    (Command.COMPLETE, {"budget_usd": 1}),
    (Command.COMPLETE, {"budget_usd": 1, "sampling": {"temperature": 0}}),
    (Command.COMPLETE, {"output_format": "openai_batch", "output": "a.csv"}),
    (Command.COMPLETE, {"output_format": "openai_batch", "output": "parts/"}),
    *(
        (Command.COMPLETE, {"sampling_columns": {name: "c"}})
        for name in ("model", "tools", "response_format", "timeout")
    ),
    *((Command.COMPLETE, {"sampling": {name: "x"}}) for name in ("model", "stream", "idempotency_key")),
    (Command.COMPLETE, {"dataset": {"path": "a", "format": "jsonl", "delimiter": ";"}}),
    (Command.COMPLETE, {"dataset": {"path": "a", "format": "csv", "sheet": "One"}}),
    (Command.COMPLETE, {"dataset": {"path": "a", "format": "parquet", "encoding": "utf-8"}}),
    (Command.COMPLETE, {"dataset": {"path": "a.csv", "delimiter": ";;"}}),
    (Command.COMPLETE, {"dataset": {"path": "a.csv", "delimiter": '"'}}),
    (Command.COMPLETE, {"dataset": {"path": "a.parquet.gz"}}),
    (Command.COMPARE, {"comparisons": [NO_ROWS | {"group_column": "page"}]}),
    (Command.COMPARE, {"comparisons": [NO_ROWS | {"slice_column": "language"}]}),
    (Command.COMPARE, {"comparisons": [NO_ROWS | {"document_fields": ["scan"]}]}),
    (Command.COMPARE, {"comparisons": [COMPARISON | {"task": None}]}),
    (Command.PROMOTE, {"comparison": COMPARISON | {"task": None, "prompt": "Route"}}),
    (Command.RUN, {"task": None}),
    (Command.RUN, {"task": None, "model": "wren-1"}),
    (Command.RUN, {"batch": WORK | {"output_format": "openai_batch"}}),
    (Command.RUN, {"batch": WORK | {"prompt": None}}),
    (Command.RUN, {"budget_usd": 1}),
]
"""Fields that are valid alone, and refused together."""
GOOD: list[tuple[Command, dict[str, Any]]] = [
    (Command.COMPLETE, {"$schema": "./complete.json"}),
    (Command.COMPLETE, {"sampling": {"temperature": 0, "top_k": 3, "response_format": {"type": "json_object"}}}),
    (Command.COMPLETE, {"output": "a.parquet", "budget_usd": None, "id_column": None}),
    (Command.COMPARE, {"comparisons": [COMPARISON | {"baseline_max_age": "P7D"}]}),
    (Command.COMPARE, {"comparisons": [COMPARISON | {"baseline_max_age": 0, "eval_set": None}]}),
    (Command.COMPARE, {"comparisons": [COMPARISON | {"frontier": ["summit-pro"], "score_range": [1, 5]}]}),
    (Command.COMPARE, {"comparisons": [COMPARISON | {"rows": {"path": "eval.jsonl", "format": "jsonl"}}]}),
    (Command.COMPARE, {"comparisons": [NO_ROWS, NO_ROWS | {"name": "b", "group_column": None, "document_fields": []}]}),
    (Command.COMPARE, {"comparisons": [COMPARISON | {"task": None, "prompt": "Route", "group_column": "page"}]}),
    (Command.COMPLETE, {"dataset": OPENAI, "prompt": None}),
    (Command.COMPLETE, {"prompt": None, "messages": [SYSTEM, USER | {"content": [{"text": "a"}, {"column": "scan"}]}]}),
    (Command.COMPLETE, {"prompt": None, "messages_column": "chat", "system_prompt": "Be short"}),
    (Command.COMPLETE, {"ask_again": 2, "answer_schema": {"type": "object"}}),
    (Command.COMPLETE, {"ask_again": 0, "sampling": {"response_format": None}}),
    (
        Command.COMPLETE,
        {"answer_schema": {"type": "object"}, "sampling": AS_JSON | {"extra_body": {"response_format": None}}},
    ),
    (Command.COMPLETE, {"output_format": "openai_batch", "output": "a.jsonl"}),
    (Command.COMPLETE, {"output_format": "openai_batch", "output": None}),
    (Command.COMPLETE, {"output_format": "openai_batch", "output": "parts/", "part_format": "jsonl"}),
    (
        Command.COMPLETE,
        {"dataset": {"path": "a", "format": "tsv", "delimiter": "\t", "encoding": "cp1252", "decimal": ","}},
    ),
    (Command.COMPLETE, {"dataset": {"path": "a.csv", "format": None, "sheet": None, "delimiter": ";"}}),
    (Command.COMPLETE, {"sampling_columns": {"temperature": "t"}}),
    (Command.RUN, {"task": None, "model": "auto"}),
    (Command.RUN, {"task": None, "model": "ep_1"}),
    (Command.PROMOTE, {"comparison": NO_ROWS}),
]


def is_valid(command: Command, fields: dict[str, Any]) -> bool:
    kind: type[BaseModel] = kind_of(command)
    path = Path("given.json")
    path.write_text(json.dumps(fields))
    try:
        spec_from(kind, path, fields_of(path))
    except SpecError:
        return False
    return True


@pytest.mark.parametrize(("command", "changes"), [*((command, {}) for command in Command), *GOOD])
def test_a_good_spec_fits_the_schema_and_the_command(command: Command, changes: dict[str, Any]) -> None:
    spec = SPECS[command] | changes
    assert problems(command, spec) == []
    assert is_valid(command, spec)


@pytest.mark.parametrize(("command", "changes"), BAD + BAD_TOGETHER)
def test_a_bad_spec_fits_neither(command: Command, changes: dict[str, Any]) -> None:
    spec = SPECS[command] | changes
    assert problems(command, spec)
    assert not is_valid(command, spec)


def changes_of(*, table: list[tuple[Command, dict[str, Any]]]) -> st.SearchStrategy[tuple[Command, dict[str, Any]]]:
    """Return changes to the spec of one command: fields of several cases of a table, or null in their place."""

    def merged(command: Command) -> st.SearchStrategy[tuple[Command, dict[str, Any]]]:
        fields = [item for kind, changes in table if kind is command for item in changes.items()]
        some = st.lists(st.sampled_from(fields) | st.sampled_from(fields).map(lambda item: (item[0], None)), max_size=5)
        return st.tuples(st.just(command), some.map(dict))

    return st.sampled_from(sorted({command for command, _ in table})).flatmap(merged)


@given(changes_of(table=GOOD[1:] + BAD_TOGETHER))
@settings(max_examples=share_of(60))
def test_what_the_schema_refuses_the_reader_refuses_too(change: tuple[Command, dict[str, Any]]) -> None:
    command, changes = change
    spec = SPECS[command] | changes
    if found := problems(command, spec):
        assert not is_valid(command, spec), found


@pytest.mark.parametrize("name", [*Command, *OTHER_NAMES])
def test_a_schema_is_printed_is_one_and_describes_every_field(name: str) -> None:
    printed = CliRunner().invoke(app, ["schema", name])
    schema = json.loads(printed.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert all(field.get("description") or "$ref" in field for field in schema["properties"].values())
    assert schema["additionalProperties"] is False


def test_a_schema_of_an_unknown_command_names_those_there_are() -> None:
    ended = CliRunner().invoke(app, ["schema", "status"])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "choose one of deploy, complete, compare, promote, watch, run" in ended.stderr


def test_validate_leaves_no_file_but_the_ledger(folder: Path) -> None:
    before = {path for path in folder.rglob("*") if path.is_file()}
    validate(SPECS[Command.RUN])
    after = {path for path in folder.rglob("*") if path.is_file()}
    assert {os.fspath(path.relative_to(folder)).partition(".db")[0] for path in after - before} <= {
        "ledger",
        "spec.json",
    }
