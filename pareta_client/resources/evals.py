"""`client.evals`: `sets`, `runs`, and the frontier models to compare with."""

# ruff: noqa: ASYNC109 - `timeout` is the name that users of the service know

from collections.abc import Iterable

from pareta_client.core import Uploadable, document_of
from pareta_client.models.evals import EvalRun, EvalSet, FrontierModel, ProposalResult
from pareta_client.models.record import RawJson
from pareta_client.operations import documents, eval_runs, eval_sets
from pareta_client.operations.eval_runs import Frontier, RunOn, Wait
from pareta_client.operations.eval_sets import Items
from pareta_client.transport import AsyncDispatcher, Dispatcher


class EvalSets:
    """Rows with truth, stored at the service."""

    def __init__(self, caller: Dispatcher) -> None:
        self._caller = caller

    def create(
        self,
        *,
        task: str | None = None,
        items: Items,
        name: str | None = None,
        prompt: str | None = None,
        idempotency_key: str | None = None,
    ) -> EvalSet:
        """Store rows to evaluate on; `prompt` says what a model should do with each.

        Without a task the one that fits rows and prompt is used; raises ScoringUndecidedError if none does cleanly.
        """
        settings = self._caller.settings
        key = settings.key(idempotency_key)
        return self._caller.run(eval_sets.create_set(task, items, name, prompt, key, settings))

    def list(self) -> list[EvalSet]:
        """List the stored sets."""
        return self._caller.run(eval_sets.list_sets(self._caller.settings))

    def retrieve(self, eval_set_id: str) -> EvalSet:
        """Read one set."""
        return self._caller.run(eval_sets.retrieve_set(eval_set_id, self._caller.settings))

    def delete(self, eval_set_id: str) -> None:
        """Delete one set."""
        self._caller.run(eval_sets.delete_set(eval_set_id, self._caller.settings))

    def upload_document(
        self,
        eval_set_id: str,
        file: Uploadable,
        *,
        idx: int,
        field_name: str,
        mime: str | None = None,
        idempotency_key: str | None = None,
    ) -> RawJson:
        """Attach a document (a path, bytes or a binary file) to a field of row `idx`, counted from 0.

        From 5 MiB on it is streamed to storage. Gives the service's raw answer; raises UploadError.
        """
        settings = self._caller.settings
        document = document_of(file, mime)
        key = settings.key(idempotency_key)
        return self._caller.run(documents.upload(eval_set_id, document, idx, field_name, key, settings))


class EvalRuns:
    """Comparisons of candidates on a set; each is billed once, however often it is waited for."""

    def __init__(self, caller: Dispatcher) -> None:
        self._caller = caller

    def create(
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

        `frontier` is a list of ids, "all", "benchmarked" or "none". With `wait=True` it polls every `poll_interval`
        seconds, up to `timeout`; EvalWaitTimeoutError then carries the `run_id` to wait for again.
        """
        settings = self._caller.settings
        on = RunOn(eval_set, task, items, name, prompt)
        waiting = Wait(poll_interval, timeout) if wait else None
        key = settings.key(idempotency_key)
        return self._caller.run(eval_runs.create_run(on, models, frontier, waiting, key, settings))

    def retrieve(self, run_id: str) -> EvalRun:
        """Read a run and what results it has."""
        return self._caller.run(eval_runs.retrieve_run(run_id, self._caller.settings))

    def wait(self, run_id: str, *, poll_interval: float = 3.0, timeout: float = 900.0) -> EvalRun:
        """Wait until a run has ended; seconds. Raises EvalWaitTimeoutError, after which one may wait again."""
        waiting = Wait(poll_interval, timeout)
        return self._caller.run(eval_runs.wait_for_run(run_id, waiting, self._caller.settings))


class Evals:
    """`sets` and `runs`."""

    def __init__(self, caller: Dispatcher) -> None:
        self._caller = caller
        self.sets = EvalSets(caller)
        self.runs = EvalRuns(caller)

    def frontier_models(self, task: str | None = None) -> list[FrontierModel]:
        """List the vendors' models to compare with; with a task, each says whether it is benchmarked on it."""
        return self._caller.run(eval_sets.frontier_models(task, self._caller.settings))

    def propose_contract(self, *, items: Items, prompt: str, idempotency_key: str | None = None) -> ProposalResult:
        """Ask how rows would be scored under a prompt; nothing is stored."""
        settings = self._caller.settings
        key = settings.key(idempotency_key)
        return self._caller.run(eval_sets.propose_contract(items, prompt, key, settings))


class AsyncEvalSets:
    """Rows with truth, stored at the service."""

    def __init__(self, caller: AsyncDispatcher) -> None:
        self._caller = caller

    async def create(
        self,
        *,
        task: str | None = None,
        items: Items,
        name: str | None = None,
        prompt: str | None = None,
        idempotency_key: str | None = None,
    ) -> EvalSet:
        """Store rows to evaluate on; `prompt` says what a model should do with each.

        Without a task the one that fits rows and prompt is used; raises ScoringUndecidedError if none does cleanly.
        """
        settings = self._caller.settings
        key = settings.key(idempotency_key)
        return await self._caller.run(eval_sets.create_set(task, items, name, prompt, key, settings))

    async def list(self) -> list[EvalSet]:
        """List the stored sets."""
        return await self._caller.run(eval_sets.list_sets(self._caller.settings))

    async def retrieve(self, eval_set_id: str) -> EvalSet:
        """Read one set."""
        return await self._caller.run(eval_sets.retrieve_set(eval_set_id, self._caller.settings))

    async def delete(self, eval_set_id: str) -> None:
        """Delete one set."""
        await self._caller.run(eval_sets.delete_set(eval_set_id, self._caller.settings))

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
        """Attach a document (a path, bytes or a binary file) to a field of row `idx`, counted from 0.

        From 5 MiB on it is streamed to storage. Gives the service's raw answer; raises UploadError.
        """
        settings = self._caller.settings
        document = document_of(file, mime)
        key = settings.key(idempotency_key)
        return await self._caller.run(documents.upload(eval_set_id, document, idx, field_name, key, settings))


class AsyncEvalRuns:
    """Comparisons of candidates on a set; each is billed once, however often it is waited for."""

    def __init__(self, caller: AsyncDispatcher) -> None:
        self._caller = caller

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

        `frontier` is a list of ids, "all", "benchmarked" or "none". With `wait=True` it polls every `poll_interval`
        seconds, up to `timeout`; EvalWaitTimeoutError then carries the `run_id` to wait for again.
        """
        settings = self._caller.settings
        on = RunOn(eval_set, task, items, name, prompt)
        waiting = Wait(poll_interval, timeout) if wait else None
        key = settings.key(idempotency_key)
        return await self._caller.run(eval_runs.create_run(on, models, frontier, waiting, key, settings))

    async def retrieve(self, run_id: str) -> EvalRun:
        """Read a run and what results it has."""
        return await self._caller.run(eval_runs.retrieve_run(run_id, self._caller.settings))

    async def wait(self, run_id: str, *, poll_interval: float = 3.0, timeout: float = 900.0) -> EvalRun:
        """Wait until a run has ended; seconds. Raises EvalWaitTimeoutError, after which one may wait again."""
        waiting = Wait(poll_interval, timeout)
        return await self._caller.run(eval_runs.wait_for_run(run_id, waiting, self._caller.settings))


class AsyncEvals:
    """`sets` and `runs`."""

    def __init__(self, caller: AsyncDispatcher) -> None:
        self._caller = caller
        self.sets = AsyncEvalSets(caller)
        self.runs = AsyncEvalRuns(caller)

    async def frontier_models(self, task: str | None = None) -> list[FrontierModel]:
        """List the vendors' models to compare with; with a task, each says whether it is benchmarked on it."""
        return await self._caller.run(eval_sets.frontier_models(task, self._caller.settings))

    async def propose_contract(
        self, *, items: Items, prompt: str, idempotency_key: str | None = None
    ) -> ProposalResult:
        """Ask how rows would be scored under a prompt; nothing is stored."""
        settings = self._caller.settings
        key = settings.key(idempotency_key)
        return await self._caller.run(eval_sets.propose_contract(items, prompt, key, settings))
