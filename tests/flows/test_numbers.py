"""Numbers in parameters: NaN, infinity, a truth value or a negative number is refused in every field there is."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from flows.parameters import Deployment, Pipeline, Promotion, Watch
from flows.stop_idle_endpoints import IdleGuard
from pareta_batch.owner_tags import Tags
from pareta_batch.question import Attachment, MessageSpec, TextPart
from pareta_batch.reuse import Reuse
from pareta_batch.rows.source import Source
from pareta_batch.sampling import Sampling
from pareta_batch.spec import Batch, BatchWork
from pareta_evals.spec import Comparisons, ComparisonSpec
from pareta_report import Policy

KINDS: tuple[type[BaseModel], ...] = (
    *(Batch, BatchWork, Sampling, Comparisons, ComparisonSpec, Deployment, Pipeline, Promotion, Watch, Policy),
    IdleGuard,
    *(Attachment, MessageSpec, Reuse, Source, Tags, TextPart),
)
ALL_NUMBERS_ALLOWED = {"seed"}


def numbers() -> Iterator[tuple[type[BaseModel], str]]:
    for kind in KINDS:
        for name, field in kind.model_fields.items():
            if {int, float, timedelta} & {field.annotation, *get_args(field.annotation)}:
                yield kind, name


NUMBERS = list(numbers())


def problems_of(kind: type[BaseModel], name: str, value: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate({name: value})
    return [problem["msg"] for problem in caught.value.errors() if problem["loc"] == (name,)]


def test_every_model_of_parameters_is_looked_at() -> None:
    inner = {each for kind in KINDS for field in kind.model_fields.values() for each in _models(field.annotation)}
    assert inner <= set(KINDS)
    assert len(NUMBERS) > 20


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models(each)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), "nan", ".inf", "1e999", True, False, "x"])
@pytest.mark.parametrize(("kind", "name"), NUMBERS)
def test_what_is_no_number_is_refused(kind: type[BaseModel], name: str, value: object) -> None:
    assert problems_of(kind, name, value)


@pytest.mark.parametrize(("kind", "name"), [each for each in NUMBERS if each[1] not in ALL_NUMBERS_ALLOWED])
def test_a_negative_number_is_refused(kind: type[BaseModel], name: str) -> None:
    assert problems_of(kind, name, -1)


def test_a_truth_value_is_told_from_a_number() -> None:
    assert problems_of(Batch, "budget_usd", True) == ["Value error, true is not a number; write a number"]
    assert problems_of(Policy, "max_loss", False) == ["Value error, false is not a number; write a number"]


PIPELINE = {"name": "p", "model": "auto"}
WORK = {"dataset": "rows.csv", "prompt": "{text}"}


@pytest.mark.parametrize(
    ("own", "share", "smaller"), [(None, None, None), (3, None, 3), (None, 2, 2), (3, 2, 2), (1, 2, 1)]
)
def test_the_smaller_of_two_budgets_bounds_the_batch_of_a_pipeline(
    own: float | None, share: float | None, smaller: float | None
) -> None:
    pipeline = Pipeline.model_validate(
        {**PIPELINE, "batch": {**WORK, "budget_usd": own, "sampling": {"max_tokens": 5}}, "budget_usd": share}
    )
    assert pipeline.batch_on("auto", share).budget_usd == smaller


@pytest.mark.parametrize(
    ("sampling", "said"),
    [({}, "budget_usd needs sampling.max_tokens"), ({"max_tokens": 5, "audio": {}}, "sampling.audio is {}")],
)
def test_a_pipeline_with_a_budget_needs_bounded_answers(sampling: dict[str, Any], said: str) -> None:
    given = {**PIPELINE, "batch": {**WORK, "sampling": sampling}}
    assert Pipeline.model_validate(given).budget_usd is None
    with pytest.raises(ValidationError) as caught:
        Pipeline.model_validate({**given, "budget_usd": 1})
    assert said in str(caught.value)


@pytest.mark.parametrize("value", [0, 1e-9])
def test_a_budget_below_a_micro_dollar_is_refused(value: float) -> None:
    assert problems_of(Batch, "budget_usd", value)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"presence_penalty": float("nan")}, "sampling.presence_penalty is nan"),
        ({"logit_bias": {"50": float("inf")}}, "sampling.logit_bias.50 is inf"),
        ({"extra_body": {"stop": [1.0, float("-inf")]}}, "sampling.extra_body.stop[1] is -inf"),
    ],
)
def test_what_json_cannot_hold_is_refused_anywhere_in_sampling(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Sampling.model_validate(fields)
    assert place in str(caught.value)
