"""`doctor`: what a run needs, checked one by one; each problem with the command that solves it."""

import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from pareta_batch import BatchError, Ledger, duration_text, masked
from pareta_cli.checks import Check
from pareta_cli.debugging import print_traceback
from pareta_cli.lifeline import KEY
from pareta_cli.version_check import check_versions
from pareta_client import APIConnectionError, AuthenticationError, Pareta, ParetaError, PermissionDeniedError

TIMEOUT_S = 10.0
"""Seconds for one request. Raising it waits longer for a service that does not answer."""
MAX_SKEW_S = 60.0
"""Tolerated difference of the clocks, in seconds. Raising it accepts a clock that is further off."""
MIN_FREE_BYTES = 1 << 30
"""Free bytes on a disk. Raising it warns of a full disk earlier."""
MIN_OPEN_FILES = 1024
"""Open files of a process. Raising it asks for a higher limit: each call in flight needs one."""
SHOW_TRACEBACK = "pareta-pipeline doctor --debug  # shows the traceback"
FIXES = {
    "key": "unset PARETA_BASE_URL  # or correct the address",
    "ledger": "export PARETA_LEDGER_URL=sqlite:///PATH",
}
"""Commands for a check that ends in an error."""
PLACEHOLDER = "pareta_sk_none"
MAX_NAMED = 3


@dataclass(frozen=True)
class ServiceAnswer:
    """The answer of the service to one request that costs nothing."""

    base_url: str
    error: ParetaError | None
    seconds: float
    date: str | None

    @property
    def reached(self) -> bool:
        """Whether the service answered, with any status."""
        return not isinstance(self.error, APIConnectionError)


def diagnose() -> Iterator[Check]:
    """Yield one check for each thing that a run needs. Nothing is spent and nothing is written but the ledger."""
    yield _guarded("versions", check_versions)
    answer: list[ServiceAnswer] = []
    yield _guarded("key", lambda: _key(answer))
    yield _guarded("service", lambda: _service(answer))
    yield _guarded("clock", lambda: _clock(answer))
    yield from _prefect()
    yield _guarded("ledger", _ledger)
    yield _guarded("files", _open_files)
    yield _guarded("disk", _disk)


def _guarded(subject: str, check: Callable[[], Check]) -> Check:
    """Return the result of a check; an exception is a fault of its subject."""
    try:
        found = check()
    except Exception as error:  # noqa: BLE001 - reported by its class
        print_traceback(error)
        text = str(error) if isinstance(error, BatchError | ParetaError) else f"{type(error).__name__}: {error}"
        found = Check(subject, False, text, FIXES.get(subject, SHOW_TRACEBACK))
    return Check(found.subject, found.ok, masked(found.text), found.fix)


def _key(answer: list[ServiceAnswer]) -> Check:
    key = os.environ.get(KEY)
    set_it = f"export {KEY}=pareta_sk_…  # the dashboard of the service creates keys"
    try:
        answer.append(ask_service(key or PLACEHOLDER))
    except ParetaError as error:
        answer.append(ask_service(PLACEHOLDER))  # raises again if the address is the problem
        return Check("key", False, str(error), set_it)
    if not key:
        return Check("key", False, f"{KEY} is not set", set_it)
    match answer[0]:
        case ServiceAnswer(error=AuthenticationError() as refusal):
            return Check("key", False, f"{KEY} is set, and the service refuses it: {refusal}", set_it)
        case ServiceAnswer(error=PermissionDeniedError() as refusal):
            return Check("key", False, f"{KEY} is set, and lacks a permission: {refusal}", set_it)
        case ServiceAnswer(reached=False):
            return Check("key", True, f"{KEY} is set; not checked, because the service was not reached")
        case ServiceAnswer(error=None):
            return Check("key", True, f"{KEY} is set, and the service accepts it")
        case _:
            return Check("key", True, f"{KEY} is set; not checked, because the service answered with an error")


def ask_service(key: str) -> ServiceAnswer:
    """Send one request that costs nothing; raises ParetaError for a key or an address that cannot be used."""
    dates: list[str] = []

    def see(response: httpx.Response) -> None:
        dates.extend(response.headers.get_list("date"))

    with httpx.Client(event_hooks={"response": [see]}, timeout=TIMEOUT_S) as http_client:
        pareta = Pareta(api_key=key, base_url=os.environ.get("PARETA_BASE_URL"), max_retries=0, http_client=http_client)
        begun = datetime.now(UTC)
        error: ParetaError | None = None
        try:
            pareta.models.list()
        except ParetaError as raised:
            error = raised
        took = (datetime.now(UTC) - begun).total_seconds()
    return ServiceAnswer(pareta.base_url, error, took, dates[0] if dates else None)


def _service(answer: list[ServiceAnswer]) -> Check:
    if not answer:
        return Check("service", False, "not asked: the key or PARETA_BASE_URL cannot be used", "unset PARETA_BASE_URL")
    found = answer[0]
    if not found.reached:
        fix = f"curl -sv {found.base_url}/v1/models  # or correct PARETA_BASE_URL"
        return Check("service", False, f"{found.base_url}: {found.error}", fix)
    if found.error is not None and not isinstance(found.error, AuthenticationError | PermissionDeniedError):
        fix = f"curl -sv {found.base_url}/v1/models  # the service may be down"
        return Check("service", False, f"{found.base_url} answers with an error: {found.error}", fix)
    return Check("service", True, f"{found.base_url} answers in {found.seconds * 1000:.0f} ms")


def _clock(answer: list[ServiceAnswer]) -> Check:
    date = answer[0].date if answer else None
    if date is None:
        return Check("clock", True, "not checked: the service sent no Date header")
    try:
        skew = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError):  # TypeError: a date without a time zone
        return Check("clock", True, f"not checked: the Date header of the service is {date!r:.60}")
    if abs(skew) <= MAX_SKEW_S:
        return Check("clock", True, "agrees with the service within a minute")
    side = "ahead of" if skew > 0 else "behind"
    return Check("clock", False, f"{duration_text(abs(skew))} {side} the service", "sudo timedatectl set-ntp true")


def _prefect() -> Iterator[Check]:
    from pareta_cli.environment import prepare_prefect

    prepare_prefect()
    from pareta_cli.prefect_checks import check_prefect

    yield _guarded("prefect", check_prefect)


def _ledger() -> Check:
    with closing(Ledger.open()) as ledger:
        batches = ledger.batches()
        busy = [name for name in batches if ledger.holder(name)]
        where = str(ledger.file) if ledger.file else "PostgreSQL"
        running = f"; running: {', '.join(busy[:MAX_NAMED])}" if busy else "; no batch is locked by a run"
        return Check("ledger", True, f"{where}: {len(batches):,} batch{'' if len(batches) == 1 else 'es'}{running}")


def _open_files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    shown = "unlimited" if hard == resource.RLIM_INFINITY else f"{hard:,}"
    if hard != resource.RLIM_INFINITY and hard < MIN_OPEN_FILES:
        return Check("files", False, f"at most {shown} open files: max_in_flight is limited by it", "ulimit -n 4096")
    return Check("files", True, f"up to {shown} open files (now {soft:,})")


def _disk() -> Check:
    ledger = Path(".pareta") if Path(".pareta").exists() else Path()
    free = shutil.disk_usage(ledger).free
    here = Path.cwd()
    text = f"{free / (1 << 30):,.1f} GiB free in {here}"
    if free < MIN_FREE_BYTES:
        return Check("disk", False, text, f"df -h {here}  # free some space, or work in another folder")
    if not os.access(here, os.W_OK):
        return Check("disk", False, f"{here} is not writable", "cd to a folder of your own")
    return Check("disk", True, text)
