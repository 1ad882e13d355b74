"""Answers against the JSON schema that the batch asked for: kept, flagged, never bought again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.response_format import MAX_KILLED_CHECKS, AnswerCheck, check_response_format
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in, read_answers, run, until


def asked(schema: object) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "team", "schema": schema}}


TEAM = asked({"type": "object", "properties": {"team": {"enum": ["billing", "sales"]}}, "required": ["team"]})
SLOW = asked({"type": "string", "pattern": "^(a+)+$"})
TOO_SLOW = '"' + "a" * 60 + '!"'


@asynccontextmanager
async def check_of(response_format: object, max_killed: int = MAX_KILLED_CHECKS) -> AsyncIterator[AnswerCheck]:
    check = AnswerCheck(response_format, max_killed=max_killed)
    try:
        yield check
    finally:
        check.close()


async def test_what_is_no_json_or_no_fit_is_told() -> None:
    async with check_of(TEAM) as check:
        for answer in ["billing", "{", "[]", "{}", '{"team": "cooks"}', '{"team": "sales"} and more', "", "\ud83d"]:
            assert await check(answer) == "misfit", answer
        assert await check('{"team": "sales"}') == "fits"


async def test_any_object_will_do_where_json_is_all_that_was_asked_for() -> None:
    async with check_of({"type": "json_object"}) as check:
        assert [await check("{}"), await check("[]"), await check("[" * 100_000)] == ["fits", "misfit", "misfit"]


@pytest.mark.parametrize("response_format", [None, {"type": "text"}, {"type": "json_schema"}, "json"])
async def test_without_a_schema_nothing_is_checked(response_format: object) -> None:
    async with check_of(response_format) as check:
        assert await check("anything") == "fits"


@pytest.mark.parametrize("depth", [1_200, 100_000])
@pytest.mark.parametrize("schema", [{"type": "object"}, {"items": {"$ref": "#"}}, True])
async def test_deep_nesting_is_no_exception(depth: int, schema: object) -> None:
    async with check_of(asked(schema)) as check:
        assert await check("[" * depth + "]" * depth) in ("misfit", "fits")
        assert await check("[" * depth) == "misfit"


async def test_a_check_that_takes_too_long_is_ended_and_the_next_one_is_done() -> None:
    async with check_of(SLOW) as check:
        assert await check(TOO_SLOW) == "unchecked"
        assert await check('"aaa"') == "fits"


async def test_after_some_checks_that_take_too_long_no_more_are_tried() -> None:
    async with check_of(SLOW, max_killed=1) as check:
        assert [await check(TOO_SLOW), await check('"aaa"')] == ["unchecked", "unchecked"]
    assert MAX_KILLED_CHECKS > 1


async def test_a_pattern_that_python_does_not_know_leaves_the_answer_unchecked() -> None:
    async with check_of(asked({"type": "string", "pattern": r"\p{L}("})) as check:
        assert await check('"a"') == "unchecked"


def test_the_checker_of_a_killed_run_ends_by_itself(tmp_path: Path) -> None:
    program = (
        "import sys, asyncio\n"
        "from pareta_batch.response_format import AnswerCheck\n"
        "async def main():\n"
        f"    check = AnswerCheck({SLOW!r})\n"
        "    await check('\"a\"')\n"
        "    print(check._checker.pid, flush=True)\n"
        f"    await check({TOO_SLOW!r})\n"
        "    sys.stdin.read()\n"
        "asyncio.run(main())\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    ended_within(lambda: not Path(f"/proc/{child}").exists(), child)


def ended_within(ended: Callable[[], bool], pid: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not ended():
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            pytest.fail("the checker outlives the run")
        time.sleep(0.02)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/missing"},
        {"properties": {"a": {"items": {"$ref": "#/$defs/missing"}}}},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "other.json#/a"},
        {"$ref": "#nowhere"},
        {"$dynamicRef": "#nowhere"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}}, "$ref": "#/$defs/a"},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {"$ref": "#/x"}}},
    ],
)
def test_a_reference_that_leads_nowhere_or_to_the_network_is_refused(tmp_path: Path, schema: object) -> None:
    with pytest.raises(ValidationError, match=r"response_format: \$ref '.*' cannot be resolved"):
        batch_in(tmp_path, sampling={"response_format": asked(schema)})


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"properties": {"a": {"anyOf": [{"type": "string"}, {"$ref": "#/properties/a"}]}}},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}},
        {"$defs": {"a": {"if": {"properties": {"x": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}}}},
    ],
)
def test_a_reference_that_leads_back_to_itself_without_an_end_is_refused(schema: object) -> None:
    with pytest.raises(ValueError, match="refers to itself"):
        check_response_format(asked(schema))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"$ref": "#"}},
        {"$defs": {"a": {"properties": {"next": {"$ref": "#/$defs/a"}}}}, "$ref": "#/$defs/a"},
        {"$id": "https://example.com/a", "$defs": {"b": {"$id": "b", "type": "string"}}, "$ref": "b"},
        {"$defs": {"b": {"$anchor": "here", "type": "string"}}, "$ref": "#here"},
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {}}, "$ref": "#/definitions/a"},
        {"$schema": "https://example.com/mine", "type": "string"},
        {"properties": {"$ref": {"type": "string"}}},
        {"const": {"$ref": "#/nowhere"}},
        True,
    ],
)
def test_other_references_are_taken(schema: object) -> None:
    check_response_format(asked(schema))


@pytest.mark.parametrize(
    "schema",
    [
        *({"type": "nonsense"}, {"$ref": 5}, {"$schema": []}, {"properties": []}, {"allOf": {}}, {"$id": 1}),
        *({"pattern": "a{99999999999}"}, {"multipleOf": 0}, "x", [], None, 5),
    ],
)
def test_a_schema_that_is_none_is_refused_before_anything_is_sent(tmp_path: Path, schema: object) -> None:
    with pytest.raises(ValidationError, match="no valid JSON schema"):
        batch_in(tmp_path, sampling={"response_format": asked(schema)})


async def test_an_answer_that_does_not_fit_is_kept_and_flagged_and_not_bought_again(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_in(tmp_path, 4, sampling={"max_tokens": 10, "response_format": TEAM})
    report = await run(batch, sandbox, ledger)
    assert (report.settled, report.flagged) == (4, {"misfit": 4})
    assert all(row["flag"] == "misfit" and row["answer"] for row in read_answers(batch))
    await run(batch, sandbox, ledger)
    sandbox.completed(4)


async def test_closing_a_check_ends_the_one_under_way() -> None:
    check = AnswerCheck(SLOW)
    assert await check('"a"') == "fits"
    assert check._checker is not None
    pid = check._checker.pid
    check.close()
    await until(lambda: not Path(f"/proc/{pid}").exists())
    assert await AnswerCheck(None)("a") == "fits"
