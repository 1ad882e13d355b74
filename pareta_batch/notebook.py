"""A batch from Python: a data frame in, the same data frame with columns of answers out."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, nullcontext, suppress
from contextvars import copy_context
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, Unpack

from pydantic import BaseModel

from pareta_batch.answers import results_table
from pareta_batch.approval import check_approval
from pareta_batch.engine import OpenSessions, Session, open_session, register_rows
from pareta_batch.errors import BatchStopped, DatasetError
from pareta_batch.field_problems import checked_options
from pareta_batch.frame_processes import complete_in_processes
from pareta_batch.ledger import ALL_UNSETTLED, Ledger
from pareta_batch.members import Lead
from pareta_batch.report import BatchReport, batch_report
from pareta_batch.rows import Table, digest, is_table
from pareta_batch.run import complete_shards, final_tally
from pareta_batch.spec import Batch
from pareta_batch.terminal import watch_session
from pareta_client import AsyncPareta

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

Frame = TypeVar("Frame")
T = TypeVar("T")

NOT_IN_NAME = frozenset(
    {
        *("dataset", "name", "max_in_flight", "shard_size", "timeout_s", "budget_usd", "tolerated_failures"),
        *("ask_again", "answer_columns", "files_folder", "tags", "reuse"),
        *("output", "output_format", "part_format", "part_rows", "approve_above_usd", "credentials"),
        *("processes", "runner", "cluster"),
    }
)
"""Fields that a derived name does not depend on: they do not change what is asked of the model."""

log = logging.getLogger(__name__)


class BatchOptions(TypedDict, total=False):
    """The fields of a batch as keyword arguments; `Batch` has their meaning and bounds."""

    prompt: str | None
    messages: Any  # a list of mappings, which the batch checks
    messages_column: str | None
    system_prompt: str | None
    template: Literal["braces", "jinja"]
    examples: Any  # a path or a data frame
    attachments: Any  # a list of mappings, which the batch checks
    files_folder: str | None
    id_column: str | None
    sampling: Any  # a mapping, which the batch checks
    sampling_columns: Mapping[str, str]
    answer_schema: Any  # a JSON Schema, a path, or a class of pydantic
    ask_again: int
    answer_columns: tuple[Literal["tool_calls", "reasoning", "logprobs"], ...]
    reuse: Any  # a mapping, which the batch checks
    max_in_flight: int
    processes: int
    shard_size: int
    timeout_s: float
    budget_usd: float | None
    approve_above_usd: float | None
    tolerated_failures: float
    tags: Any  # a mapping, which the batch checks


async def complete(
    frame: Frame,
    *,
    model: str = "auto",
    name: str | None = None,
    api_key: str | None = None,
    base_url: str | None = None,
    ledger: Ledger | None = None,
    progress: bool = True,
    on_report: Callable[[BatchReport], object] | None = None,
    approved: bool = False,
    **options: Unpack[BatchOptions],
) -> Frame:
    """Send the rows that the ledger has no answer for, and return the frame with columns of answers.

    A row that failed has its error in the column `error`. The same call again sends nothing for answered rows.

    Args:
        frame: A data frame of pandas or polars, or a table of Arrow. Other tables are returned as `pyarrow.Table`.
        name: Name of the batch in the ledger. By default it is derived from what is asked, not from the rows: more
            rows continue the batch, and its budget counts for all of them.
        api_key, base_url: By default PARETA_API_KEY and PARETA_BASE_URL.
        ledger: An open ledger; by default that of PARETA_LEDGER_URL. Several `processes` need PostgreSQL.
        approved: A person has approved the cost. Without, one above `approve_above_usd` raises ApprovalNeeded.
        options: Fields of a batch, such as `prompt`, `answer_schema`, `sampling`, `budget_usd`.

    Raises:
        BatchStopped: The batch was stopped. It has the frame with the answers so far, and the report.
        DatasetError, InvalidOptions: The frame or an argument is not valid; nothing was sent.
    """
    batch = batch_of(frame, model, name, dict(options))
    async with opened_ledger(ledger) as books:
        session, report = await _run(batch, client_of(api_key, base_url), books, progress, approved)
        results = await asyncio.to_thread(results_table, batch, books)
    answers = with_columns(frame, _content(batch), results)
    if on_report is not None:
        on_report(report)
    if session.stop is not None:
        raise _stopped(session.stop, answers, report)
    return answers


def complete_sync(frame: Frame, **options: Any) -> Frame:  # those of `complete`
    """Run `complete` and wait for its end, also where an event loop is running; the arguments are the same.

    Ctrl-C stops sending; calls in flight finish and settle first.
    """
    return run_blocking(lambda: complete(frame, **options))


def run_blocking(work: "Callable[[], Coroutine[Any, Any, T]]") -> T:
    """Run a coroutine on an event loop of its own thread, and return its result; Ctrl-C stops open batches."""
    sessions, outcome = OpenSessions(), Future[T]()
    running: list[Callable[[], object]] = []

    async def cancellable() -> T:
        task = asyncio.ensure_future(work())
        running.append(partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel))
        return await task

    def serve() -> None:
        sessions.own()
        try:
            outcome.set_result(asyncio.run(cancellable()))
        except BaseException as error:  # noqa: BLE001 - raised by outcome.result()
            outcome.set_exception(error)

    thread = Thread(target=copy_context().run, args=(serve,), name="complete")
    thread.start()
    try:
        return outcome.result()
    except KeyboardInterrupt:
        # Before its session is open, a batch can only be cancelled.
        if not sessions.stop_all("Interrupted", "Ctrl-C"):
            with suppress(RuntimeError):  # the loop is closed: the work has ended
                for cancel in running:
                    cancel()
        raise
    finally:
        thread.join()


def batch_of(frame: object, model: str, name: str | None, options: Mapping[str, Any], call: str = "complete") -> Batch:
    """Return the batch of a call of `complete`, or of another `call`; raises InvalidOptions, DatasetError."""
    check_frame(frame)
    schema = options.get("answer_schema")
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        options = {**options, "answer_schema": schema.model_json_schema()}
    batch = checked_options(Batch, call, {**options, "dataset": frame, "model": model, "name": name or "unnamed"})
    return batch if name else batch.model_copy(update={"name": derived_name(batch)})


def check_frame(frame: object) -> None:
    """Raise DatasetError unless the value is a data frame or a table of Arrow."""
    if not is_table(frame):
        problem = "not a data frame; pass one of pandas, polars (after collect()) or Arrow"
        raise DatasetError([f"{type(frame).__name__}: {problem}"])


def derived_name(batch: Batch) -> str:
    """Return a name that depends on what is asked of the model, and not on the rows."""
    asked = batch.model_dump(mode="json", exclude=set(NOT_IN_NAME), exclude_defaults=True)
    return f"complete-{digest(asked)[:16]}"


def with_columns(frame: Frame, content: Any, results: Any) -> Frame:  # tables of Arrow, which has no types
    """Return the frame with the columns of a table of Arrow added, as a frame of the same kind, in the same order."""
    module = type(frame).__module__.partition(".")[0]
    kind: Any = type(frame)
    value: Any = frame
    if module == "pandas":
        # By position: an index may have a label twice.
        columns = results.to_pandas()
        added: Frame = value.assign(**{name: columns[name].array for name in columns})
        return added
    if module == "polars":
        joined: Frame = value.hstack(kind(results).get_columns())
        return joined
    for column in results.schema:
        content = content.append_column(column, results[column.name])
    table: Frame = content
    return table


def _content(batch: Batch) -> object:
    return batch.dataset.content if isinstance(batch.dataset, Table) else None


async def _run(
    batch: Batch, pareta: AsyncPareta, ledger: Ledger, progress: bool, approved: bool
) -> tuple[Session | Lead, BatchReport]:
    if batch.has_members:
        return await complete_in_processes(batch, pareta, ledger, progress=progress, approved=approved)
    try:
        plan = await asyncio.to_thread(register_rows, batch, ledger)
    except BaseException:
        await pareta.aclose()
        raise
    async with (
        open_session(batch, pareta, ledger) as session,
        watch_session(session) if progress else nullcontext(),
    ):
        if not approved:
            await check_approval(batch, ledger, ALL_UNSETTLED, session)
        await complete_shards(session, plan.missing)
    report = batch_report(await final_tally(batch, ledger, session), session, changed=plan.changed)
    log.info("%s", report)
    return session, report


def client_of(api_key: str | None, base_url: str | None) -> AsyncPareta:
    """Return a client; the environment has what is None."""
    given = {"api_key": api_key, "base_url": base_url}
    return AsyncPareta.from_env(**{name: value for name, value in given.items() if value is not None})


@asynccontextmanager
async def opened_ledger(ledger: Ledger | None) -> "AsyncIterator[Ledger]":
    """Yield an open ledger, which stays open, or else the ledger of the environment while the body runs."""
    if ledger is not None:
        yield ledger
        return
    own = await asyncio.to_thread(Ledger.open)
    try:
        yield own
    finally:
        own.close()


def _stopped(stop: BatchStopped, answers: object, report: BatchReport) -> BatchStopped:
    error = BatchStopped(stop.reason, stop.message)
    error.answers, error.report = answers, report
    return error
