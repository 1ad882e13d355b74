"""Automations of all flows on the server: crashed runs, and notifications by a block."""

from collections.abc import Mapping
from pathlib import Path as FilePath
from uuid import UUID

import yaml
from prefect.client.orchestration import PrefectClient
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import ObjectNotFound

from pareta_cli.deployment_file import Json, SetUpError, automation_states
from pareta_cli.deployment_writer import Report, read_record, with_whole_groups, write_automations, write_record
from pareta_cli.setup_merge import merge, record_of

FILE = FilePath(__file__).with_suffix(".yaml")
RECORD = "automations"
TYPES = {"slack": "slack-webhook", "teams": "ms-teams-webhook", "webhook": "custom-webhook", "email": "email-server"}
"""Short names of block types."""


async def set_up_automations(client: PrefectClient, notify: str | None, *, reset: bool, report: Report) -> None:
    """Create or update the automations, keep what a person changed on the server, and report both.

    Raises SetUpError for a notification block that does not exist.

    Args:
        notify: Notification block as TYPE/NAME; None for the block of the last set-up, if there was one.
    """
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    named = [each["name"] for kind in ("automations", "notifications") for each in content[kind]]
    found = {each.name: each for name in named for each in await client.read_automations_by_name(name)}
    block = await _block_id(client, notify) if notify else _block_in_use(found, content["notifications"])
    fields = [*content["automations"], *(_sending(each, block) for each in content["notifications"] if block)]
    wanted = {each["name"]: AutomationCore.model_validate(each) for each in fields}
    in_file = automation_states(wanted)
    server = automation_states({name: each for name, each in found.items() if name in wanted})
    state, kept = merge(in_file, server, await read_record(RECORD), reset=reset)
    state = with_whole_groups(state, server)
    changed = await write_automations(client, wanted, found, state, server)
    await write_record(RECORD, record_of(in_file))
    made = "updated" if found else "created"
    report(f"{len(wanted)} automations: {made if changed else 'unchanged'}")
    for each in kept:
        report(f"  kept {each}")
    if block is None:
        report("notifications: none; add --notify TYPE/NAME, as in slack/ops")


def _sending(fields: Json, block: UUID) -> Json:
    action = {"type": "send-notification", "block_document_id": str(block)}
    texts = {name: fields[name] for name in ("subject", "body")}
    return {name: fields[name] for name in fields if name not in texts} | {"actions": [action | texts]}


def _block_in_use(found: Mapping[str, Automation], notifications: list[Json]) -> UUID | None:
    """Return the block of the notifications that exist, or None."""
    actions = [action for each in notifications if each["name"] in found for action in found[each["name"]].actions]
    return next((block for each in actions if (block := getattr(each, "block_document_id", None))), None)


async def _block_id(client: PrefectClient, notify: str) -> UUID:
    kind, slash, name = notify.partition("/")
    slug = TYPES.get(kind, kind)
    if not slash or not name:
        raise SetUpError(f"--notify {notify!r}: not valid; write TYPE/NAME, as in slack/ops")
    try:
        block = await client.read_block_document_by_name(name, slug, include_secrets=False)
    except ObjectNotFound:
        step = f"make it with: prefect block create {slug}"
        raise SetUpError(f"--notify {notify!r}: no block {name!r} of type {slug}; {step}") from None
    if block.block_schema is None or "notify" not in (block.block_schema.capabilities or []):
        raise SetUpError(f"--notify {notify!r}: a {slug} block sends no notification; name a block such as slack/ops")
    return block.id
