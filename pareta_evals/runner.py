"""The eval work of a comparison: one eval set per content, a plan, a run that is paid once, and its results.

Each step is saved in the ledger before the next step. Every creating request has an idempotency key from the identity
of the work. So a restart at any point finds the existing work instead of paying again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pareta_batch import (
    NO_ACCOUNT,
    Account,
    Ledger,
    Purchase,
    fetch_leaderboard,
    id_of,
    mark_bought,
    may_have_been_paid,
    release_purchase,
    reserve_purchase,
)
from pareta_client import AsyncPareta, EvalResult, EvalRun, EvalSet, FrontierModel, NotFoundError, ParetaError
from pareta_evals import plan as eval_plan
from pareta_evals.documents import upload_documents
from pareta_evals.plan import EvalPlan
from pareta_evals.rows import EvalRows, read_eval_rows
from pareta_evals.spec import ComparisonSpec, eval_plan_key, eval_run_key, eval_set_key
from pareta_evals.work_locks import PROCESS_LOCKS, WorkLocks


@dataclass(frozen=True)
class EvalRunner:
    """The eval work of one comparison; `occurrence` distinguishes deliberate repetitions."""

    spec: ComparisonSpec
    pareta: AsyncPareta
    ledger: Ledger
    occurrence: str | None = None
    account: Account = NO_ACCOUNT
    locks: WorkLocks = PROCESS_LOCKS

    async def rows(self) -> EvalRows | None:
        """Read and check the rows of the spec's file; None for an eval set by id. Raises DatasetError."""
        spec, path = self.spec, self.spec.rows
        if path is None:
            return None
        columns = (spec.group_column, spec.slice_column, spec.document_fields, spec.files_folder)
        return await asyncio.to_thread(read_eval_rows, path, *columns)

    async def eval_set(self, rows: EvalRows | None) -> str:
        """Return the id of the eval set with these rows and their documents; it is created if the service has none."""
        if rows is None:
            return self.spec.eval_set or ""
        key = eval_set_key(self.spec, rows.items)
        async with self.locks.one_at_a_time(key):
            if saved := await self._saved_eval_set(key):
                return saved
            # A set that is not saved may lack documents: a crash can precede the last upload.
            found = await self._find_eval_set(key, rows) or await self._make_eval_set(key, rows)
            await upload_documents(self.pareta, found, key, rows.documents)
            await asyncio.to_thread(self.ledger.save_eval_work, key, found)
            return found

    async def known_eval_set(self, rows: EvalRows | None) -> str | None:
        """Return the id of the existing eval set with these rows, or None."""
        if rows is None:
            return self.spec.eval_set
        return await self._find_eval_set(eval_set_key(self.spec, rows.items), rows)

    async def _find_eval_set(self, key: str, rows: EvalRows) -> str | None:
        if saved := await self._saved_eval_set(key):
            return saved
        # After a lost ledger, or a crash before the id was saved: the set's name is derived from its content.
        existing = (each for each in await self.pareta.evals.sets.list() if self._is_of(each, key, rows))
        return next((each.id for each in existing if each.id), None)

    async def _saved_eval_set(self, key: str) -> str | None:
        known = await asyncio.to_thread(self.ledger.eval_work, key)
        return known if known is not None and await self._exists(known) else None

    async def plan(self, eval_set_id: str) -> EvalPlan:
        """Return the saved plan of this work, or make and save one. Raises ModelsUnknown."""
        known = await self.known_plan(eval_set_id)
        if known is not None:
            return known
        plan = await self.new_plan(eval_set_id)
        key = eval_plan_key(self.spec, eval_set_id, self.occurrence)
        await asyncio.to_thread(eval_plan.save_plan, self.ledger, key, plan)
        return plan

    async def known_plan(self, eval_set_id: str | None) -> EvalPlan | None:
        """Return the saved plan of this work if the scores that it reuses still exist, or None."""
        if eval_set_id is None:
            return None
        key = eval_plan_key(self.spec, eval_set_id, self.occurrence)
        known = await asyncio.to_thread(eval_plan.load_plan, self.ledger, key)
        usable = known is not None and all([await self._usable(run_id) for run_id in known.reused.values()])
        return known if usable else None

    async def new_plan(self, eval_set_id: str | None) -> EvalPlan:
        """Return a new plan, without saving it. Raises ModelsUnknown."""
        task = await self._task(eval_set_id)
        roster = await self.pareta.evals.frontier_models(task)
        await self._check_models(roster, task)
        baselines = _baselines(self.spec, roster)
        fresh: Mapping[str, str] = {}
        if eval_set_id is not None and self.occurrence is None:
            fresh = await asyncio.to_thread(
                eval_plan.scored_within, self.ledger, eval_set_id, self.spec.baseline_max_age
            )
        usable = {model: fresh[model] for model in baselines if model in fresh and await self._usable(fresh[model])}
        return eval_plan.planned(self.spec.models, baselines, usable)

    async def run(self, eval_set_id: str, plan: EvalPlan) -> str:
        """Return the id of the eval run of this plan: one that is already paid, or a new one.

        A run that failed or no longer exists at the service is replaced. The upper bound of its cost is reserved
        before it is created. Raises BudgetReached and CostUnbounded.
        """
        async with self.locks.one_at_a_time(eval_run_key(eval_set_id, plan.bought, occurrence=self.occurrence)):
            known, key = await self.find_run(eval_set_id, plan)
            if known is not None:
                return known
            run = await self._buy(key, eval_set_id, plan)
            # Saved before anything waits for the run: a restart waits for it and does not pay again.
            run_id = id_of(run)
            await asyncio.to_thread(self.ledger.save_eval_work, key, run_id)
            await asyncio.to_thread(mark_bought, self.ledger, key, run_id)
            return run_id

    async def _buy(self, key: str, eval_set_id: str, plan: EvalPlan) -> EvalRun:
        costs = await self.costs(plan, await self.row_count(eval_set_id), eval_set_id)
        purchase = Purchase(key, f"eval run of {self.spec.name!r}", costs)
        await asyncio.to_thread(reserve_purchase, self.ledger, self.account, purchase)
        try:
            return await self.pareta.evals.runs.create(
                eval_set=eval_set_id, models=list(plan.bought), frontier="none", idempotency_key=key
            )
        except ParetaError as error:
            if not may_have_been_paid(error):
                await asyncio.to_thread(release_purchase, self.ledger, key)
            raise

    async def costs(self, plan: EvalPlan, rows: int | None, eval_set_id: str | None) -> dict[str, float | None]:
        """Return the listed cost of each bought model (micro-USD); None if it or the number of rows is unknown."""
        board = await fetch_leaderboard(self.pareta, await self._task(eval_set_id))
        each = {model: board.cost(await self._served_by(model)) for model in plan.bought}
        return {model: None if rows is None or cost is None else rows * cost for model, cost in each.items()}

    async def _served_by(self, model: str) -> str:
        """Return the model that an endpoint serves; another model is returned unchanged."""
        if not model.startswith("ep_"):
            return model
        try:
            return (await self.pareta.endpoints.retrieve(model)).model or model
        except NotFoundError:
            return model

    async def find_run(self, eval_set_id: str, plan: EvalPlan) -> tuple[str | None, str]:
        """Return the usable run of this plan, or None, and the key for the next run."""
        key = eval_run_key(eval_set_id, plan.bought, occurrence=self.occurrence)
        while (known := await asyncio.to_thread(self.ledger.eval_work, key)) is not None:
            if await self._usable(known):
                return known, key
            key = eval_run_key(eval_set_id, plan.bought, after=known, occurrence=self.occurrence)
        return None, key

    async def results(self, run: EvalRun, plan: EvalPlan) -> EvalRun:
        """Return an ended run with the results of the reused baselines added; save the models that it scored."""
        if run.status == "completed" and run.id and run.eval_set_id:
            whole = [each.model_id for each in run.results if each.model_id and _is_whole(each)]
            await asyncio.to_thread(eval_plan.save_scored_models, self.ledger, run.eval_set_id, run.id, whole)
        earlier = {run_id: await self.pareta.evals.runs.retrieve(run_id) for run_id in set(plan.reused.values())}
        return with_results(run, {model: earlier[run_id] for model, run_id in plan.reused.items()})

    async def row_count(self, eval_set_id: str | None) -> int | None:
        """Return the number of rows of the eval set; None if it is unknown."""
        return None if eval_set_id is None else (await self.pareta.evals.sets.retrieve(eval_set_id)).item_count

    async def _make_eval_set(self, key: str, rows: EvalRows) -> str:
        made = await self.pareta.evals.sets.create(
            # The request must depend on the content only: all comparisons on equal rows share one set.
            task=self.spec.task,
            items=rows.items,
            name=f"{self.spec.task or 'rows'}-{key[:16]}",
            prompt=self.spec.prompt,
            idempotency_key=key,
        )
        return id_of(made)

    def _is_of(self, found: EvalSet, key: str, rows: EvalRows) -> bool:
        return found.name == f"{self.spec.task or 'rows'}-{key[:16]}" and found.item_count == len(rows.items)

    async def _check_models(self, roster: Sequence[FrontierModel], task: str | None) -> None:
        named = () if isinstance(self.spec.frontier, str) else self.spec.frontier
        baselines = {model.id for model in roster if model.id}
        eval_plan.check_models(named, baselines, "the roster of frontier models")
        board = (await fetch_leaderboard(self.pareta, task)).costs
        # Without a leaderboard the service itself refuses unknown models.
        eval_plan.check_models(self.spec.models, {*board, *baselines} if board else (), f"the leaderboard of {task}")

    async def _task(self, eval_set_id: str | None) -> str | None:
        if self.spec.task is not None or eval_set_id is None:
            return self.spec.task
        return (await self.pareta.evals.sets.retrieve(eval_set_id)).task_id

    async def _exists(self, eval_set_id: str) -> bool:
        try:
            await self.pareta.evals.sets.retrieve(eval_set_id)
        except NotFoundError:
            return False
        return True

    async def _usable(self, run_id: str) -> bool:
        try:
            return (await self.pareta.evals.runs.retrieve(run_id)).status != "failed"
        except NotFoundError:
            return False


def with_results(run: EvalRun, earlier: Mapping[str, EvalRun]) -> EvalRun:
    """Return a run with the results of other models from earlier runs added."""
    ours = [each.to_dict() for each in run.results]
    theirs = [each.to_dict() for model, other in earlier.items() for each in other.results if each.model_id == model]
    return EvalRun.model_validate({**run.to_dict(), "results": [*ours, *theirs]}) if theirs else run


def _baselines(spec: ComparisonSpec, roster: Sequence[FrontierModel]) -> tuple[str, ...]:
    match spec.frontier:
        case "none":
            return ()
        case "all":
            return tuple(model.id for model in roster if model.id)
        case "benchmarked":
            return tuple(model.id for model in roster if model.id and model.benchmarked)
        case named:
            return named


def _is_whole(result: EvalResult) -> bool:
    """Return whether a result has a score and no failed rows; only such results are reused."""
    return result.quality_mean is not None and not result.error_count
