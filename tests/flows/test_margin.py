"""The margin is one number: the comparison's, or the policy's in its place."""

import pytest
from pydantic import ValidationError

from flows.parameters import Promotion
from pareta_evals.spec import ComparisonSpec, eval_plan_key


def promotion(policy: dict[str, object], **comparison: object) -> Promotion:
    spec = {"name": "x", "task": "t", "eval_set": "set_1", "models": ["wren-1"], **comparison}
    return Promotion.model_validate({"name": "x", "comparison": spec, "policy": policy})


def margin_of(promotion: Promotion) -> float:
    (spec,) = promotion.comparisons().comparisons
    return spec.margin


def test_the_policys_loss_is_the_margin_of_the_comparison() -> None:
    assert margin_of(promotion({"max_loss": 0.05})) == 0.05
    assert margin_of(promotion({}, margin=0.03)) == 0.03
    assert margin_of(promotion({"max_loss": 0.03}, margin=0.03)) == 0.03
    assert margin_of(promotion({})) == 0.02


def test_two_margins_are_refused_with_both() -> None:
    with pytest.raises(
        ValidationError, match=r"max_loss 0\.05 of the policy differs from margin 0\.03 of the comparison"
    ):
        promotion({"max_loss": 0.05}, margin=0.03)


@pytest.mark.parametrize("scale", [[5, 1], [1, 1]])
def test_a_scale_that_does_not_rise_is_refused(scale: list[float]) -> None:
    with pytest.raises(ValidationError, match="does not rise; give the lowest score first"):
        promotion({}, score_range=scale)


def test_how_a_comparison_is_judged_changes_nothing_of_what_is_bought() -> None:
    plain = ComparisonSpec(name="x", task="t", eval_set="set_1", models=("wren-1",))
    told = plain.model_copy(update={"margin": 0.05, "score_range": (1.0, 5.0)})
    assert eval_plan_key(plain, "set_1") == eval_plan_key(told, "set_1")
