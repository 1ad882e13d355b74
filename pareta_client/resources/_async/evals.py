"""`client.evals`: `sets`, `runs` and the frontier models."""

# ruff: noqa: ASYNC109 - `timeout` is part of the public API

from collections.abc import Iterable

from pareta_client.core import Uploadable, document_of
from pareta_client.models.evals import EvalRun, EvalSet, FrontierModel, ProposalResult
from pareta_client.models.record import RawJson
from pareta_client.operations import documents, eval_runs, eval_sets
from pareta_client.operations.eval_runs import Frontier, RunOn, wait_timing
from pareta_client.operations.eval_sets import Items
from pareta_client.resources.base import AsyncResource
from pareta_client.transport import AsyncDispatcher


class AsyncEvalSets(AsyncResource):
    """Rows with expected answers, stored at the service."""

    async def create(
        self,
        *,
        task: str | None = None,
        items: Items,
        name: str | None = None,
        prompt: str | None = None,
        idempotency_key: str | None = None,
    ) -> EvalSet:
        """Store rows; `prompt` describes the task of the model for each row.

        Without `task` the single task that fits is used; raises ScoringUndecidedError if no task fits.
        """
        key = self._settings.key(idempotency_key)
        return await self._run(eval_sets.create_set(task, items, name, prompt, key, self._settings))

    async def list(self) -> list[EvalSet]:
        """List the stored sets."""
        return await self._run(eval_sets.list_sets(self._settings))

    async def retrieve(self, eval_set_id: str) -> EvalSet:
        """Fetch one set."""
        return await self._run(eval_sets.retrieve_set(eval_set_id, self._settings))

    async def delete(self, eval_set_id: str) -> None:
        """Delete one set."""
        await self._run(eval_sets.delete_set(eval_set_id, self._settings))

    async def upload_document(
        self,
        eval_set_id: str,
        file: Uploadable,
        *,
        idx: int,
        field_name: str,
        mime: str | None = None,
        idempotency_key: str | None = None,
    ) -> RawJson:
        """Attach a document (a path, bytes or a binary file) to a field of row `idx` (0-based).

        Documents of 5 MiB or more are streamed to storage. Returns the raw reply; raises UploadError.
        """
        document = document_of(file, mime)
        key = self._settings.key(idempotency_key)
        return await self._run(documents.upload(eval_set_id, document, idx, field_name, key, self._settings))


class AsyncEvalRuns(AsyncResource):
    """Evaluations of candidates on a set; each run is billed once, a wait is free."""

    async def create(
        self,
        *,
        eval_set: str | None = None,
        task: str | None = None,
        items: Items | None = None,
        models: Iterable[str],
        frontier: Frontier = None,
        name: str | None = None,
        prompt: str | None = None,
        wait: bool = False,
        poll_interval: float = 3.0,
        timeout: float = 900.0,
        idempotency_key: str | None = None,
    ) -> EvalRun:
        """Start a run on a stored set, or on rows that are stored first.

        `frontier` is a list of ids, "all", "benchmarked" or "none". With `wait=True` it polls for at most `timeout`
        seconds, with pauses that grow to `poll_interval`; EvalWaitTimeoutError has the `run_id` for another wait.
        """
        on = RunOn(eval_set, task, items, name, prompt)
        waiting = wait_timing(poll_interval, timeout) if wait else None
        key = self._settings.key(idempotency_key)
        return await self._run(eval_runs.create_run(on, models, frontier, waiting, key, self._settings))

    async def retrieve(self, run_id: str) -> EvalRun:
        """Fetch a run with its results so far."""
        return await self._run(eval_runs.retrieve_run(run_id, self._settings))

    async def wait(self, run_id: str, *, poll_interval: float = 3.0, timeout: float = 900.0) -> EvalRun:
        """Wait until a run has ended; times in seconds. Raises EvalWaitTimeoutError: call again to continue."""
        waiting = wait_timing(poll_interval, timeout)
        return await self._run(eval_runs.wait_for_run(run_id, waiting, self._settings))


class AsyncEvals(AsyncResource):
    """Group of `sets` and `runs`."""

    def __init__(self, dispatcher: AsyncDispatcher) -> None:
        super().__init__(dispatcher)
        self.sets = AsyncEvalSets(dispatcher)
        self.runs = AsyncEvalRuns(dispatcher)

    async def frontier_models(self, task: str | None = None) -> list[FrontierModel]:
        """List the frontier models; with a task, `benchmarked` is set for it."""
        return await self._run(eval_sets.frontier_models(task, self._settings))

    async def propose_contract(
        self, *, items: Items, prompt: str, idempotency_key: str | None = None
    ) -> ProposalResult:
        """Request proposals for scoring rows under a prompt; store nothing."""
        key = self._settings.key(idempotency_key)
        return await self._run(eval_sets.propose_contract(items, prompt, key, self._settings))
