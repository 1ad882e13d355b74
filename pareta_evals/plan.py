"""The plan of an eval run: the models to score, and the baselines with recent scores on the same rows.

The ledger keeps a plan before anything is bought. A restart buys the same models under the same key, even if the
roster of frontier models or the age of a score has changed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from pareta_batch import Ledger, ModelsUnknown, eval_plans, eval_scores, eval_work, insert_into


@dataclass(frozen=True)
class EvalPlan:
    """The models to score, and the earlier run with the scores of each reused baseline."""

    bought: tuple[str, ...]
    reused: Mapping[str, str] = field(default_factory=dict)


def planned(models: Sequence[str], baselines: Sequence[str], fresh: Mapping[str, str]) -> EvalPlan:
    """Return a plan that buys all models and the baselines without fresh scores."""
    reused = {baseline: fresh[baseline] for baseline in baselines if baseline in fresh and baseline not in models}
    bought = (*models, *(baseline for baseline in baselines if baseline not in reused))
    return EvalPlan(tuple(dict.fromkeys(bought)), reused)


def check_models(models: Sequence[str], known: Collection[str], where: str) -> None:
    """Raise ModelsUnknown for models that are not known; endpoints, `auto` and `recommended` are not checked.

    If no model is known (a service without a leaderboard), nothing is refused.
    """
    named = [model for model in models if model not in ("auto", "recommended") and not model.startswith("ep_")]
    unknown = [model for model in named if known and model not in known]
    if unknown:
        raise ModelsUnknown(unknown, sorted(known), where)


def load_plan(ledger: Ledger, key: str) -> EvalPlan | None:
    """Return the plan saved under a key, or None."""
    with ledger.transaction() as db:
        found = db.execute(sa.select(eval_plans).where(eval_plans.c.key == key)).first()
    return None if found is None else EvalPlan(tuple(found.bought), found.reused)


def save_plan(ledger: Ledger, key: str, plan: EvalPlan) -> None:
    """Save a plan; it replaces an earlier one with the same key."""
    row = {"key": key, "bought": list(plan.bought), "reused": dict(plan.reused)}
    with ledger.transaction() as db:
        insert = insert_into(db, eval_plans).values(row)
        db.execute(insert.on_conflict_do_update(index_elements=["key"], set_=row))


def save_scored_models(ledger: Ledger, eval_set_id: str, run_id: str, models: Sequence[str]) -> None:
    """Save the models with complete scores in a run."""
    scored = [{"eval_set_id": eval_set_id, "run_id": run_id, "model": model} for model in models]
    if scored:
        with ledger.transaction() as db:
            db.execute(insert_into(db, eval_scores).on_conflict_do_nothing(), scored)


def scored_within(ledger: Ledger, eval_set_id: str, age: timedelta) -> dict[str, str]:
    """Return the latest run that scored each model on a set, among runs that started within `age`."""
    since = datetime.now(UTC).replace(tzinfo=None) - age
    query = (
        sa.select(eval_scores.c.model, eval_scores.c.run_id)
        .join(eval_work, eval_work.c.id == eval_scores.c.run_id)
        .where(eval_scores.c.eval_set_id == eval_set_id, eval_work.c.created_at > since)
        .order_by(eval_work.c.created_at)
    )
    with ledger.transaction() as db:
        return {row.model: row.run_id for row in db.execute(query)}


def eval_work_begun(ledger: Ledger, run_id: str) -> datetime | None:
    """Return the time in UTC at which an eval run was requested; None for an unknown run."""
    with ledger.transaction() as db:
        begun = db.scalar(sa.select(sa.func.min(eval_work.c.created_at)).where(eval_work.c.id == run_id))
    return None if begun is None else begun.replace(tzinfo=UTC)
