"""What a run says at its end: rows, dollars, results and the next step; and what a cancelled run does not log."""

import logging

import pytest

from flows.cancelled_logs import CRASHED, ENDS, log_cancelled_tasks_as_information
from flows.closing import closing_of
from flows.outcomes import IncompleteRun, suspension_message
from pareta_client import InsufficientCreditsError
from tests.flows.test_outcomes import STOP, report


def test_a_completed_batch_says_rows_dollars_and_where_its_answers_are() -> None:
    sentence = closing_of(report())
    assert sentence is not None
    assert sentence.startswith("reviews: 8 of 8 rows settled, 0 failed, 0 pending; ")
    assert sentence.endswith("; answers: answers/reviews.jsonl")


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ("ep_1", "endpoint ep_1 is live and answers; it costs money until it is stopped"),
        (("ep_1", "ep_2"), "idle endpoints: ep_1, ep_2"),
        ((), "no idle endpoints"),
        (None, None),
    ],
)
def test_other_results_have_a_sentence_of_their_own(result: object, sentence: str | None) -> None:
    assert closing_of(result) == sentence


def test_a_suspended_batch_says_rows_dollars_and_to_resume() -> None:
    stopped = report(stop=STOP)
    assert suspension_message(IncompleteRun(stopped, "unused")) == (
        f"no credit: {stopped}; top up, then Resume: only the 4 missing rows are sent"
    )
    no_credit = InsufficientCreditsError("empty", status_code=402)
    assert suspension_message(no_credit) == "no credit: InsufficientCreditsError: empty; top up, then Resume"


@pytest.mark.parametrize(("name", "message"), [(name, each) for name, messages in ENDS.items() for each in messages])
def test_lines_of_a_cancelled_run_are_no_errors(
    name: str, message: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger(name)
    monkeypatch.setattr(logger, "filters", [])
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", True)
    log_cancelled_tasks_as_information()
    with caplog.at_level(logging.INFO, logger=name):
        logger.error(message)
        logger.error("Task run failed with exception: ValueError()")
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR"]
    assert CRASHED not in caplog.text
