"""Answers against the JSON schema that the batch asked for: kept, flagged, never bought again."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pareta_batch.answer_schema import fitting
from pareta_batch.ledger import Ledger
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in, read_answers, run


def asked(schema: object) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "team", "schema": schema}}


TEAM = asked({"type": "object", "properties": {"team": {"enum": ["billing", "sales"]}}, "required": ["team"]})


@pytest.mark.parametrize("answer", ["billing", "{", "[]", "{}", '{"team": "cooks"}', '{"team": "sales"} and more'])
def test_what_is_no_json_or_no_fit_is_told(answer: str) -> None:
    fits = fitting(TEAM)
    assert fits is not None
    assert not fits(answer)
    assert fits('{"team": "sales"}')


def test_any_object_will_do_where_json_is_all_that_was_asked_for() -> None:
    fits = fitting({"type": "json_object"})
    assert fits is not None
    assert (fits("{}"), fits("[]")) == (True, False)


@pytest.mark.parametrize("response_format", [None, {"type": "text"}, {"type": "json_schema"}, "json"])
def test_without_a_schema_nothing_is_checked(response_format: object) -> None:
    assert fitting(response_format) is None


def test_a_schema_that_is_none_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="no valid JSON schema"):
        batch_in(tmp_path, sampling={"response_format": asked({"type": "nonsense"})})


async def test_an_answer_that_does_not_fit_is_kept_and_flagged_and_not_bought_again(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_in(tmp_path, 4, sampling={"max_tokens": 10, "response_format": TEAM})
    report = await run(batch, sandbox, ledger)
    assert (report.settled, report.flagged) == (4, {"misfit": 4})
    assert all(row["flag"] == "misfit" and row["answer"] for row in read_answers(batch))
    await run(batch, sandbox, ledger)
    sandbox.completed(4)
