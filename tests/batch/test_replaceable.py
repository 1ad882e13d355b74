"""An output that cannot be replaced is found before anything is paid, and the check changes nothing."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pareta_batch.answers import whole_file
from pareta_batch.answers.whole_file import check_replaceable
from pareta_batch.engine.planning import register_rows
from pareta_batch.errors import OutputError
from pareta_batch.ledger.ledger import Ledger
from tests.batch.batches import batch_in
from tests.forks import forked

NOBODY = 65534
REFUSED = 7


@contextmanager
def attribute(letter: str, path: Path) -> Iterator[None]:
    """Set an attribute of a file or a folder (i: immutable, a: append only), where the system allows it."""
    if shutil.which("chattr") is None or subprocess.run(["chattr", f"+{letter}", path], capture_output=True).returncode:
        pytest.skip("chattr is not permitted here")
    try:
        yield
    finally:
        subprocess.run(["chattr", f"-{letter}", path], check=True)


def entries(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("letter", ["i", "a"])
def test_a_file_that_the_file_system_protects_is_refused_before_anything_is_registered(
    tmp_path: Path, ledger: Ledger, letter: str
) -> None:
    batch = batch_in(tmp_path)
    batch.output_path.write_text("")
    before = entries(tmp_path)
    with (
        attribute(letter, batch.output_path),
        pytest.raises(OutputError, match=rf"'{batch.output_path}' cannot be written: .*not permitted.*another output"),
    ):
        register_rows(batch, ledger)
    assert entries(tmp_path).keys() == before.keys()
    assert ledger.batches() == []
    register_rows(batch, ledger)


def test_a_folder_that_takes_no_file_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    (tmp_path / "answers").mkdir()
    batch = batch_in(tmp_path, output=str(tmp_path / "answers" / "answers.jsonl"))
    with attribute("i", tmp_path / "answers"), pytest.raises(OutputError, match=r"cannot be written: .*not permitted"):
        register_rows(batch, ledger)


def test_a_target_of_a_symlink_is_what_is_checked(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "answers.jsonl"
    target.parent.mkdir()
    target.touch()
    (tmp_path / "link.jsonl").symlink_to(target)
    check_replaceable(tmp_path / "link.jsonl")
    with attribute("i", target), pytest.raises(PermissionError):
        check_replaceable(tmp_path / "link.jsonl")


def test_a_file_that_is_a_mount_of_its_own_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "my answers.jsonl"
    output.touch()
    mounts = tmp_path / "mountinfo"
    escaped = str(output).replace(" ", "\\040")
    mounts.write_text(f"22 1 8:1 / / rw - ext4 /dev/sda rw\n63 22 8:1 /x {escaped} rw - ext4 /dev/sda rw\n")
    check_replaceable(output)
    monkeypatch.setattr(whole_file, "MOUNTS", mounts)
    with pytest.raises(OSError, match="mount its folder instead"):
        check_replaceable(output)


def check_as_nobody(output: Path) -> None:
    os.setuid(NOBODY)
    try:
        check_replaceable(output)
    except PermissionError:
        os._exit(REFUSED)


def test_a_file_of_another_user_in_a_folder_with_the_sticky_bit_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can act as two users")
    shared = tmp_path / "shared"
    shared.mkdir()
    for folder in (shared, *list(shared.parents)[:-2]):
        folder.chmod(0o1777 if folder == shared else folder.stat().st_mode | 0o011)
    output = shared / "answers.jsonl"
    output.write_text("mine")
    output.chmod(0o666)
    with forked(check_as_nobody, output) as child:
        child.join(60)
        assert child.exitcode == REFUSED
    assert entries(shared) == {"answers.jsonl": b"mine"}


@pytest.mark.parametrize("mode", [0o444, 0o644, 0o000])
def test_the_mode_of_a_file_does_not_keep_it_from_being_replaced(tmp_path: Path, mode: int) -> None:
    output = tmp_path / "answers.jsonl"
    output.write_text("old")
    output.chmod(mode)
    check_replaceable(output)
    assert (output.stat().st_mode & 0o777, list(tmp_path.iterdir())) == (mode, [output])
    with whole_file.whole_file(output) as part:
        part.write_text("new")
    output.chmod(0o600)
    assert output.read_text() == "new"


def test_a_folder_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(IsADirectoryError):
        check_replaceable(tmp_path / "empty")
    assert (tmp_path / "empty").is_dir()
