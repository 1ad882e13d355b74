"""The lock of a batch is on the ledger itself: no path, thread, process or name lets a second run in."""

import errno
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from pareta_batch.errors import BatchBusy, LedgerError
from pareta_batch.ledger import file_locks
from pareta_batch.ledger.ledger import Ledger
from pareta_sandbox.pytest_plugin import SandboxFactory
from tests.batch.batches import batch_in, until
from tests.batch.processes import EXITS, running_elsewhere
from tests.forks import forked

ALIASES = ["same", "symlink", "symlinked folder", "hard link", "relative", "dots", "uri", "proc"]


def alias_of(folder: Path, kind: str) -> str:
    """Return another URL of the ledger in a folder."""
    file, link = folder / "ledger.db", folder / "elsewhere" / "other.db"
    link.parent.mkdir(exist_ok=True)
    match kind:
        case "symlink":
            link.symlink_to(file)
        case "symlinked folder":
            (folder / "there").symlink_to(folder)
            link = folder / "there" / "ledger.db"
        case "hard link":
            link.hardlink_to(file)
        case "relative":
            link = Path(os.path.relpath(file))
        case "dots":
            link = folder / "elsewhere" / ".." / "ledger.db"
        case "uri":
            return f"sqlite:///file:{file}?uri=true"
        case "proc":  # a bind mount: another way through the tree of mounts to the same inode
            link = Path("/proc/self/root") / file.relative_to("/")
        case _:
            link = file
    return f"sqlite:///{link}"


@pytest.fixture(params=["ranges", "files"])
def either_kind_of_lock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Byte ranges of the ledger's file; elsewhere than on Linux, files that are named by its inode."""
    monkeypatch.setattr(file_locks, "HAS_OFD_LOCKS", request.param == "ranges" and file_locks.HAS_OFD_LOCKS)
    monkeypatch.setattr(file_locks, "LOCK_FOLDER", tmp_path / "locks")


@pytest.fixture
def first(tmp_path: Path, either_kind_of_lock: None) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    opened.close()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("kind", ALIASES)
def test_a_ledger_under_another_path_is_the_same_ledger(tmp_path: Path, first: Ledger, kind: str) -> None:
    second = Ledger.open(alias_of(tmp_path, kind))
    with first.lease("test"):
        with pytest.raises(BatchBusy, match=rf"being worked on by process {os.getpid()} on "), second.lease("test"):
            raise AssertionError("both hold it")
        with second.lease("another batch"):
            pass
    with second.lease("test"), pytest.raises(BatchBusy), first.lease("test"):
        raise AssertionError("both hold it")
    second.close()


@pytest.mark.parametrize("kind", ["symlink", "hard link"])
async def test_of_two_runs_on_one_ledger_under_two_paths_one_is_refused(
    tmp_path: Path, sandbox_factory: SandboxFactory, ledger: Ledger, ledger_url: str, kind: str
) -> None:
    sandbox = sandbox_factory(idempotency=False, latency_ms=10)
    batch = batch_in(tmp_path, 200, max_in_flight=8)
    second = batch.model_copy(update={"output": str(tmp_path / "second.jsonl")})
    with (
        running_elsewhere(batch, sandbox, ledger_url) as one,
        running_elsewhere(second, sandbox, alias_of(tmp_path, kind)) as other,
    ):
        await until(lambda: not one.is_alive() and not other.is_alive(), within_s=60)
    assert sorted([one.exitcode, other.exitcode], key=str) == [0, EXITS["BatchBusy"]]
    assert sandbox.books().completions == 200


def test_answers_written_under_one_name_are_found_under_another(tmp_path: Path, ledger: Ledger) -> None:
    ledger.save_eval_work("k", "run_1")  # in the write-ahead log, which has a name of its own
    second = Ledger.open(alias_of(tmp_path, "hard link"))
    assert second.eval_work("k") == "run_1"
    assert second.file == ledger.file
    second.close()


def test_a_file_with_several_links_and_no_way_to_note_its_name_is_refused(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    alias = alias_of(tmp_path, "hard link")
    monkeypatch.delattr(os, "setxattr")
    with pytest.raises(LedgerError, match=r"has 2 hard links.*; remove the other links, or use symbolic ones"):
        Ledger.open(alias)
    (tmp_path / "elsewhere" / "other.db").unlink()
    Ledger.open(f"sqlite:///{tmp_path}/ledger.db").close()


def test_a_ledger_that_was_renamed_or_copied_is_opened_under_its_new_name(tmp_path: Path) -> None:
    Ledger.open(f"sqlite:///{tmp_path}/ledger.db").close()
    (tmp_path / "ledger.db").replace(tmp_path / "new.db")
    subprocess.run(["cp", "-a", tmp_path / "new.db", tmp_path / "copy.db"], check=True)
    (tmp_path / "link.db").hardlink_to(tmp_path / "new.db")
    for name in ("new.db", "copy.db", "link.db"):
        ledger = Ledger.open(f"sqlite:///{tmp_path}/{name}")
        assert ledger.file == tmp_path / (name if name == "copy.db" else "new.db")
        ledger.close()


@pytest.mark.parametrize("name", ["a" * 100, "endpoint:" + "b" * 100, "ä/../x", ""])
def test_any_name_can_be_locked(first: Ledger, name: str) -> None:
    with first.lease(name), pytest.raises(BatchBusy), first.lease(name):
        raise AssertionError("both hold it")


def test_of_many_threads_one_holds_the_batch(first: Ledger) -> None:
    tried = threading.Barrier(8)

    def compete() -> list[bool]:
        won = []
        for _ in range(20):
            tried.wait()
            try:
                with first.lease("test"):
                    won.append(True)
                    tried.wait()  # held until all have tried
            except BatchBusy:
                won.append(False)
                tried.wait()
        return won

    before = descriptors()
    with ThreadPoolExecutor(8) as pool:
        rounds = zip(*pool.map(lambda _: compete(), range(8)), strict=True)
    assert [sum(won) for won in rounds] == [1] * 20
    assert len(descriptors() - before) <= 8, "descriptors are used again"


def descriptors() -> set[str]:
    return {path.name for path in Path("/dev/fd").iterdir()}


async def test_a_lock_is_gone_with_the_process_that_held_it(tmp_path: Path, ledger: Ledger, ledger_url: str) -> None:
    held = tmp_path / "held"
    with forked(_hold, ledger_url, str(held)) as process:
        await until(held.exists, within_s=30)
        with pytest.raises(BatchBusy, match=f"process {process.pid} on"), ledger.lease("test"):
            raise AssertionError("both hold it")
        process.kill()
        process.join()
        with ledger.lease("test"):
            pass


def _hold(url: str, held: str) -> None:
    with Ledger.open(url).lease("test"):
        Path(held).touch()
        threading.Event().wait()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_neither_shares_the_lock_nor_keeps_it(first: Ledger) -> None:
    reading, writing = os.pipe()
    with first.lease("test"):
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)  # lives longer than the lock is held
            os._exit(0)
    with first.lease("test"):
        pass
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(reading)


def test_locks_leave_those_of_sqlite_in_place(tmp_path: Path, first: Ledger) -> None:
    second = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    with second.lease("test"), pytest.raises(BatchBusy), first.lease("test"):
        raise AssertionError("both hold it")
    second.close()
    first.tally("test")
    # Another process may convert a database that no connection uses: that of `first` has to stand in its way.
    convert = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('PRAGMA journal_mode=DELETE')"
    other = [sys.executable, "-c", convert, str(tmp_path / "ledger.db")]
    assert "database is locked" in subprocess.run(other, capture_output=True, text=True, check=False).stderr
    first.close()
    assert subprocess.run(other, capture_output=True, text=True, check=False).stderr == ""


def test_closed_ledgers_leave_no_descriptors(tmp_path: Path, first: Ledger) -> None:
    before = descriptors()
    for number in range(20):
        with ExitStack() as opened:
            ledger = Ledger.open(f"sqlite:///{tmp_path}/{number}.db")
            opened.callback(ledger.close)
            with ledger.lease("one"), ledger.lease("other"):
                pass
    assert len(descriptors() - before) <= 1


def test_a_file_that_cannot_be_opened_for_a_lock_is_a_ledger_error(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("pareta_batch.ledger.file_locks._fcntl", refuse)
    refused = pytest.raises(LedgerError, match=r"cannot be locked .*No locks available.*; keep the ledger on a disk of")
    with refused, ledger.lease("test"):
        raise AssertionError("it is held")


def test_a_kernel_without_these_locks_gets_files(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(file_locks, "_fcntl", refuse)
    monkeypatch.setattr(file_locks, "LOCK_FOLDER", tmp_path / "locks")
    with ledger.lease("test"), pytest.raises(BatchBusy), ledger.lease("test"):
        raise AssertionError("both hold it")
    with ledger.lease("test"):
        pass


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
def test_a_ledger_that_is_gone_is_not_created_anew(tmp_path: Path, ledger: Ledger, how: str) -> None:
    file = tmp_path / "ledger.db"
    if how == "replaced":
        sqlite3.connect(tmp_path / "new.db").close()
        (tmp_path / "new.db").touch()
        (tmp_path / "new.db").replace(file)
    elif how == "moved":
        file.replace(tmp_path / "away.db")
    else:
        file.unlink()
    with pytest.raises(LedgerError, match=r"was (deleted|moved|replaced).*restore a backup of it"):
        ledger.record("test", [])
    ledger._database.engine.dispose()  # every connection is a new one
    with pytest.raises(LedgerError, match=r"was (deleted|moved|replaced)"):
        ledger.tally("test")
    assert file.exists() == (how == "replaced")
