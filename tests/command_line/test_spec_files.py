"""Spec files that nobody meant: each is refused with status 2, in a few lines, before anything starts."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from typer.testing import CliRunner

from flows.parameters import Deployment, Pipeline, Promotion, Watch
from pareta_batch.field_problems import MAX_LINES
from pareta_batch.spec import Batch
from pareta_cli.app import app
from pareta_cli.specs import MAX_FILE_BYTES, MAX_PARAMETERS_BYTES, SpecError, fields_of, read_spec
from pareta_evals.spec import Comparisons

SPEC = "name: reviews\nmodel: auto\ndataset: reviews.csv\nprompt: 'Say {text}'\n"
COMMANDS = ("deploy", "complete", "retry-failed", "quote", "compare", "promote", "watch", "run", "export")
KINDS = (Deployment, Batch, Comparisons, Promotion, Watch, Pipeline)


def laughs(levels: int = 9) -> str:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
    return "\n".join(lines)


def merged_laughs() -> str:
    lines = ["a0: &a0 {k: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12)]
    return "\n".join(lines)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "laughs": (laughs().encode(), "more than 20000 values, aliases counted at each use"),
    "merged laughs": (merged_laughs().encode(), "more than 20000 values"),
    "an alias of itself": (b"a: &a [*a]", "line 1: alias *a refers to itself"),
    "an alias of nothing": (b"a: *b", "line 1: alias *b has no anchor before it"),
    "deep flow": (b"a: " + b"[" * 100_000, "line 1: nested more than 40 levels deep"),
    "deep mappings": (b"{a: " * 5000, "nested more than 40 levels deep"),
    "deep JSON": (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested more than 40 levels deep"),
    "deep blocks": ("\n".join(" " * n + "a:" for n in range(200)).encode(), "line 41: nested more than 40"),
    "deep list items": (b"- " * 3000, "nested more than 40 levels deep"),
    "many values": (b"a: [" + b"1," * 100_000, "more than 20000 values"),
    "too large": (b"# " + b"x" * MAX_FILE_BYTES, "is larger than 1024 KiB"),
    "a prompt too large": (SPEC.encode() + b"system_prompt: " + b"x" * 600_000, "system_prompt takes 585 KiB"),
    "a field twice": (SPEC.encode() + b"model: ep_1\n", "line 5: duplicate field 'model', on lines 2 and 5"),
    "a nested field twice": (b"a:\n  - b: 1\n    c: 2\n    b: 3", "line 4: duplicate field 'b', on lines 2 and 4"),
    "a JSON field twice": (b'{"a": {"b": 1,\n "b": 2}}', "line 2: duplicate field 'b', on lines 1 and 2"),
    "a python object": (b"a: !!python/object/apply:os.system [x]", "line 1: tag '!!python/object/apply:os.system'"),
    "a binary": (b"a: !!binary aGk=", "tag '!!binary' is not allowed"),
    "a set": (b"a: !!set {x}", "tag '!!set' is not allowed"),
    "a timestamp": (b"a: !!timestamp 2026-11-01", "tag '!!timestamp' is not allowed"),
    "an own tag": (b"!batch\na: 1", "line 1: tag '!batch' is not allowed"),
    "a wrong tag": (b"a: !!int abc", "line 1: 'abc' is not of the type of its tag '!!int'"),
    "no number": (SPEC.encode() + b"budget_usd: .nan", "line 5: .nan is not a finite number"),
    "infinity": (b"a: -.inf", "line 1: -.inf is not a finite number"),
    "a float that overflows": (b"a: 1e999", "line 1: 1e999 is not a finite number"),
    "a number of 5000 digits": (b"a: " + b"9" * 5000, "line 1: number of 5000 characters"),
    "an escape beyond Unicode": (b'a: "\\UFFFFFFFF"', "invalid escape or tag"),
    "half a character": (b'{"a": "\\ud83d"}', "line 1: unpaired surrogate in '\\ud83d'"),
    "NUL": (b'{"a": "\\u0000"}', "line 1: the character NUL"),
    "a control character": (b"a: b\nc: \x07", "line 2: character '\\x07' is not allowed"),
    "Latin-1": ("a: 1\nb: für".encode("latin-1"), "line 2: byte 0xfc is not UTF-8"),
    "UTF-16": (SPEC.encode("utf-16"), "is UTF-16; save it as UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "byte 0x89 is not UTF-8"),
    "empty": (b"", "empty file; write fields"),
    "comments": (b"# nothing\n", "empty file; write fields"),
    "a list": (b"- 1", "not a mapping; write fields"),
    "two documents": (b"a: 1\n---\nb: 2", "line 2: a second document begins here"),
    "a list as name": (b"? [a]\n: 1", "line 1: a field's name is plain text"),
    "tabs": (b"a:\n\tb: 1", "line 2: "),
    "an open quote": (b"a: 'b", "found unexpected end of stream"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_no_spec_is_refused_with_its_line(tmp_path: Path, name: str) -> None:
    content, said = HOSTILE[name]
    path = tmp_path / "spec.yaml"
    path.write_bytes(content)
    with pytest.raises(SpecError) as refused:
        read_spec(Batch, path)
    assert said in str(refused.value)
    assert str(refused.value).startswith(str(path))
    assert len(str(refused.value).splitlines()) == 1
    assert len(str(refused.value)) < 500 + len(str(path))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["laughs", "deep flow", "a field twice", "a python object", "Latin-1", "empty"])
def test_every_command_refuses_it_with_status_2_and_one_line(tmp_path: Path, command: str, name: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(HOSTILE[name][0])
    ended = CliRunner().invoke(app, [command, str(path)])
    assert (ended.exit_code, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 1), ended.output
    assert HOSTILE[name][1] in ended.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("where", ["nowhere.yaml", ".", "x" * 300])
def test_every_command_names_a_file_that_cannot_be_read(tmp_path: Path, command: str, where: str) -> None:
    ended = CliRunner().invoke(app, [command, str(tmp_path / where)])
    assert (ended.exit_code, len(ended.stderr.splitlines())) == (2, 1), ended.output


def test_a_file_without_end_is_read_to_the_bound() -> None:
    with pytest.raises(SpecError, match="larger than 1024 KiB"):
        read_spec(Batch, Path("/dev/zero"))


def test_a_spec_may_come_through_a_pipe(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as file:
        file.write(SPEC)
    try:
        assert read_spec(Batch, Path(f"/dev/fd/{reader}")).name == "reviews"
    finally:
        os.close(reader)


PIECES = (
    *(
        "a",
        "name",
        ": ",
        ":",
        "- ",
        "\n",
        "  ",
        "[",
        "]",
        "{",
        "}",
        "&x ",
        "*x",
        "<<: ",
        "!!",
        "!",
        "|\n",
        ">",
        "'",
        '"',
    ),
    *('"', "\\u", "\\x", "#", "%", "---\n", "...\n", "? ", ",", "1", "0x", "1e9", "~", "\t", "é", "\ufeff", "@", "`"),
)
YAML_LIKE = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def refusal(kind: type[BaseModel], path: Path) -> str | None:
    try:
        read_spec(kind, path)
    except SpecError as refused:
        return str(refused)
    return None


@pytest.mark.parametrize("kind", KINDS)
@given(content=st.one_of(st.binary(max_size=60), YAML_LIKE.map(str.encode), st.text(max_size=60).map(str.encode)))
def test_whatever_a_file_holds_a_refusal_is_a_few_lines(
    tmp_path_factory: pytest.TempPathFactory, kind: type[BaseModel], content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    said = refusal(kind, path)
    assert said is None or 1 <= len(said.splitlines()) <= MAX_LINES


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(value=st.dictionaries(st.text(max_size=5).filter(lambda name: "\0" not in name), JSON, max_size=4))
def test_every_value_of_json_is_read_as_json_reads_it(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    for text in (json.dumps(value), json.dumps(value, indent="\t")):
        if "\\u0000" in text or any(len(part) > 40 for part in text.split()):
            return
        path.write_text(text, encoding="utf-8")
        assert fields_of(path) == value


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-11-01", "2026-11-01"),
        ("2026-11-01T10:00:00Z", "2026-11-01T10:00:00Z"),
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("true", True),
        ("~", None),
        ("'2'", "2"),
        ("!!str 2", "2"),
        ('"\\ud83d\\ude00"', "😀"),
    ],
)
def test_a_plain_value_has_the_type_that_json_gives_it(tmp_path: Path, written: str, read: object) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(f"a: {written}\n", encoding="utf-8")
    assert fields_of(path) == {"a": read}


def test_names_that_yaml_takes_for_dates_and_booleans_are_names(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC.replace("reviews\n", "2026-11-01\n").replace("auto", "no"), encoding="utf-8")
    batch = read_spec(Batch, path)
    assert (batch.name, batch.model) == ("2026-11-01", "no")


def test_a_switch_may_still_be_written_as_no(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(
        "name: x\nmodel: auto\nstop_endpoint: no\nbatch: {dataset: a.csv, prompt: '{x}'}\n", encoding="utf-8"
    )
    assert read_spec(Pipeline, path).stop_endpoint is False


def test_an_alias_is_a_copy_so_that_an_override_changes_one_place(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("x: &x {k: 1}\ny: *x\nz: {<<: *x, l: 2}\n", encoding="utf-8")
    fields = fields_of(path)
    assert fields == {"x": {"k": 1}, "y": {"k": 1}, "z": {"k": 1, "l": 2}}
    assert fields["x"] is not fields["y"]


MISSPELT: list[tuple[str, str]] = [
    ("sampling: {max_token: 5}", "sampling: max_token: did you mean max_tokens?"),
    ("sampling: {maxTokens: 5}", "maxTokens: did you mean max_tokens?"),
    ("sampling: {temprature: 0}", "temprature: did you mean temperature?"),
    ("sampling: {Temperature: 0}", "Temperature: did you mean temperature?"),
    ("sampling: {top-p: 1}", "did you mean top_p?"),
    ("sampling: {response_fromat: {}}", "did you mean response_format?"),
    ("sampling: {response_format: {typ: json_object}}", "response_format.typ: did you mean type?"),
    ("sampling: {response_format: {json_schema: {schem: {}}}}", "json_schema.schem: did you mean schema?"),
    ("sampling: {logprobs: yes}", "logprobs is 'yes', which is text; write true or false"),
    ("promt: x", "promt: Extra inputs are not permitted; did you mean prompt?"),
    ("max_inflight: 3", "did you mean max_in_flight?"),
    ("zebra: 3", "zebra: Extra inputs are not permitted; Batch has: name, model, dataset"),
    ("output: 3", "output: Input should be a valid string (it is 3); put the value in quotation marks"),
]


@pytest.mark.parametrize(("line", "said"), MISSPELT)
def test_a_misspelt_field_is_told_with_the_one_that_was_meant(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC + line, encoding="utf-8")
    with pytest.raises(SpecError) as refused:
        read_spec(Batch, path)
    assert said in str(refused.value)


def test_a_misspelt_field_is_told_at_any_depth(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(
        "name: x\nmodel: auto\nbatch: {datset: a.csv, prompt: '{x}'}\ncomparisons: [{name: c, modles: [a]}]\n"
    )
    with pytest.raises(SpecError) as refused:
        read_spec(Pipeline, path)
    assert "batch.datset: Extra inputs are not permitted; did you mean dataset?" in str(refused.value)
    assert len(str(refused.value).splitlines()) == MAX_LINES


@pytest.mark.parametrize(
    "field", ["top_k", "min_p", "guided_json", "max_completion_tokens", "prompt_logprobs", "a_field_of_tomorrow", "n"]
)
def test_a_sampling_field_of_a_service_passes(tmp_path: Path, field: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(f"{SPEC}sampling: {{{field}: 3}}", encoding="utf-8")
    assert read_spec(Batch, path).sampling.fields() == {field: 3}


def test_a_key_in_a_spec_is_refused_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(f"{SPEC}api_key: pareta_sk_123\nmax_in_flight: pareta_sk_123\n", encoding="utf-8")
    with pytest.raises(SpecError) as refused:
        read_spec(Batch, path)
    assert "api_key" in str(refused.value)
    assert "pareta_sk" not in str(refused.value)


KEY = "pareta_sk_SECRETSECRET"


@pytest.mark.parametrize(
    "field", [f"{KEY}: 1", f"system_prompt: 'x {KEY}'", f"sampling: {{user: {KEY}}}", f"? [{KEY}]\n: 1"]
)
def test_a_key_anywhere_in_a_spec_is_refused_with_its_line_and_not_shown(tmp_path: Path, field: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(f"{SPEC}{field}\n", encoding="utf-8")
    with pytest.raises(SpecError) as refused:
        read_spec(Batch, path)
    line = SPEC.count("\n") + 1
    assert str(refused.value).startswith(f"{path} line {line}: holds an API key; set it as PARETA_API_KEY")
    path.write_text(SPEC, encoding="utf-8")
    with pytest.raises(SpecError, match="is an API key") as refused:
        read_spec(Batch, path, [f"{KEY}=1"])
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "b", "max_in_flight=\u00b2"),
        ("set", "b", f"max_in_flight={'9' * 5000}"),
        ("quote", "b.yaml", "--pilot", "9" * 20),
    ],
)
def test_a_number_that_is_none_or_too_large_is_refused_with_status_2(arguments: tuple[str, ...]) -> None:
    ended = CliRunner().invoke(app, arguments)
    assert (ended.exit_code, type(ended.exception)) == (2, SystemExit)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("a" * 5000 + ".b" * 5000 + "=1", "nested more than 40 levels deep"),
        ("sampling..x=1", "write it as key=value"),
        ("sampling.=1", "write it as key=value"),
        ("x=[", "--set 'x=[': "),
        ("x=!!python/none x", "tag '!!python/none' is not allowed"),
        ("x=" + "[" * 100, "nested more than 40 levels deep"),
        ("x={a: 1, a: 2}", "duplicate field 'a'"),
        ("x=.nan", ".nan is not a finite number"),
        ("sampling.max_token=3", "max_token: did you mean max_tokens?"),
        ("promt=x", "did you mean prompt?"),
        ("prompt=\udcff", "a byte of the value is not allowed"),
        ("sampling=Say it", "sampling: Input should be"),
        ("x\ny=1", "'x\\ny': Extra inputs are not permitted"),
        ("x=\udcff", "is not allowed"),
        ("system_prompt=" + "x" * MAX_PARAMETERS_BYTES, "Prefect's limit"),
    ],
)
def test_an_override_is_refused_as_a_field_of_the_file_is(tmp_path: Path, override: str, said: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC, encoding="utf-8")
    with pytest.raises(SpecError) as refused:
        read_spec(Batch, path, [override])
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("written", ["NaN", "Infinity", "-Infinity", '"nan"', '"inf"'])
@pytest.mark.parametrize("field", ["budget_usd", "timeout_s", "tolerated_failures"])
def test_a_number_of_json_that_is_not_finite_is_refused(tmp_path: Path, written: str, field: str) -> None:
    path = tmp_path / "spec.json"
    path.write_text(f'{{"name": "x", "model": "auto", "dataset": "a.csv", "prompt": "p", "{field}": {written}}}')
    ended = CliRunner().invoke(app, ["complete", str(path)])
    assert (ended.exit_code, len(ended.stderr.splitlines())) == (2, 1), ended.output
    assert f"{field}: " in ended.stderr


def test_a_quote_for_an_unknown_command_names_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC, encoding="utf-8")
    ended = CliRunner().invoke(app, ["quote", str(path), "--for", "everything"])
    assert (ended.exit_code, "complete, compare" in ended.stderr) == (2, True)
