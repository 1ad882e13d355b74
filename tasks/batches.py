"""Tasks of a batch: register its rows, complete its shards, write its answers."""

import asyncio

from pareta_batch import (
    ALL_UNSETTLED,
    Batch,
    BatchReport,
    Lead,
    Quote,
    RowSelection,
    RunPlan,
    Session,
    WrittenParts,
    batch_report,
    check_batch_quote,
    check_column,
    check_known,
    check_output,
    check_rows,
    quote_rows,
    register_rows,
    write_output,
)
from pareta_batch import complete_shards as complete_shards_of
from pareta_report import markdown_text
from tasks.artifacts import artifact_key
from tasks.clients import make_client
from tasks.direct import run_logger, task, uses_prefect
from tasks.files import check_page
from tasks.members import check_members, starter_of
from tasks.resources import shared_ledger, shared_session
from tasks.retries import RETRIES


@task(task_run_name="check {batch.dataset}")
async def check_dataset(batch: Batch, truth_column: str | None = None) -> None:
    """Check the dataset, the prompt, the output and the truth column before an endpoint is deployed."""
    check_page(batch)
    rows = await asyncio.to_thread(check_rows, batch)
    if truth_column is not None:
        await asyncio.to_thread(check_column, batch.dataset, truth_column, "the truth column")
    async with shared_ledger() as ledger:
        await check_members(batch, ledger)
        await asyncio.to_thread(check_output, batch, ledger)
    run_logger().info("%s: %d rows fit the prompt", batch.dataset, rows)


@task(task_run_name="register {batch.name}")
async def register_batch(batch: Batch) -> RunPlan:
    """Check the dataset and register its rows in the ledger; nothing is sent."""
    check_page(batch)
    async with shared_ledger() as ledger:
        await check_members(batch, ledger)
        plan = await asyncio.to_thread(register_rows, batch, ledger)
    run_logger().info("%s: %s", batch.name, plan)
    return plan


@task(task_run_name="failed rows of {batch.name}")
async def plan_retry(batch: Batch, selection: RowSelection) -> RunPlan:
    """Return the plan of the failed rows to send again, from the ledger; nothing is sent."""
    check_page(batch)
    async with shared_ledger() as ledger:
        await check_members(batch, ledger)
        await asyncio.to_thread(check_known, batch.name, ledger)
        await asyncio.to_thread(check_output, batch, ledger)
        missing = await asyncio.to_thread(ledger.missing_shards, batch.name, batch.shard_size, selection)
        tally = await asyncio.to_thread(ledger.tally, batch.name)
    plan = RunPlan(tally.total, 0, missing)
    run_logger().info("%s: %d failed rows to send again", batch.name, plan.to_send)
    return plan


@task(task_run_name="quote {batch.name}")
async def quote_batch(batch: Batch, wanted: RowSelection = ALL_UNSETTLED) -> Quote:
    """Quote the rows to send, their cost and their duration; nothing is sent."""
    async with shared_ledger() as ledger:
        await check_members(batch, ledger)
        quote = await quote_rows(batch, await make_client(batch.credentials), ledger, wanted=wanted)
    run_logger().info("%s", quote)
    if uses_prefect():
        from prefect.artifacts import acreate_markdown_artifact

        await acreate_markdown_artifact(f"**Quote** {markdown_text(str(quote))}", key=artifact_key(batch.name, "quote"))
    return quote


# No tags: for every tagged task run Prefect asks the server for a concurrency slot, which costs more than a row.
@task(task_run_name="{batch.name} shard {shard}", **RETRIES)
async def complete_shard(batch: Batch, shard: int) -> None:
    """Send the rows of one shard that are missing in the ledger."""
    async with shared_session(batch) as session:
        await session.complete(shard)


async def complete_shards(session: Session | Lead, plan: RunPlan) -> None:
    """Complete the shards that have missing rows, in this process or by members, until done or stopped."""
    if isinstance(session, Lead):
        await session.work(await starter_of(session))
        return
    # A shard that runs in another process cannot follow the endpoint's limit: it keeps the present allotment.
    allotted = session.batch.model_copy(update={"max_in_flight": session.allotment})
    await complete_shards_of(session, plan.missing, lambda shard: complete_shard(allotted, shard))


@task(task_run_name="answers of {batch.name}")
async def write_answers_file(batch: Batch, written: WrittenParts | None = None) -> str:
    """Write the answers file or folder from the dataset and the ledger; return its path.

    `written`: the parts of the folder, if members have written all of them.
    """
    async with shared_ledger() as ledger:
        return await asyncio.to_thread(write_output, batch, ledger, written)


async def build_report(plan: RunPlan, session: Session | Lead) -> BatchReport:
    """Return the report of the batch: the tally of the ledger and the end of the session."""
    async with shared_ledger() as ledger:
        tally = await asyncio.to_thread(ledger.tally, session.batch.name)
        await asyncio.to_thread(check_batch_quote, ledger, session.batch.name, tally)
    report = batch_report(tally, session, changed=plan.changed)
    run_logger().info("%s", report)
    return report
