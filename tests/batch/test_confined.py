"""Paths from outside: under the folder, wherever links and dots lead."""

from pathlib import Path

import pytest

from pareta_batch.allowed_folder import confined
from pareta_batch.errors import NotAllowed


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with a folder that is allowed, one that is not, and links between them."""
    for name in ("inbox/deep", "secrets", "inbox-of-others"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "secrets/rows.csv").write_text("id\n1\n")
    (tmp_path / "inbox/way-out").symlink_to(tmp_path / "secrets")
    (tmp_path / "inbox/rows-out.csv").symlink_to(tmp_path / "secrets/rows.csv")
    (tmp_path / "inbox/new-out.csv").symlink_to(tmp_path / "secrets/new.csv")
    (tmp_path / "inbox/round").symlink_to(tmp_path / "inbox/round")
    (tmp_path / "inbox/within").symlink_to(tmp_path / "inbox/deep")
    (tmp_path / "way-in").symlink_to(tmp_path / "inbox")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "path",
    [
        "inbox/rows.csv",
        "inbox/deep/../rows.csv",
        "./inbox//rows.csv",
        "way-in/rows.csv",
        "inbox/a b.csv",
        "inbox/é.csv",
    ],
)
def test_a_path_under_the_folder_is_resolved(project: Path, path: str) -> None:
    found = Path(confined(path, "inbox", "dataset"))
    assert found.is_absolute()
    assert found.parent == project / "inbox"


def test_a_link_within_the_folder_is_followed(project: Path) -> None:
    assert confined("inbox/within/rows.csv", "inbox", "dataset") == str(project / "inbox/deep/rows.csv")


def test_an_absolute_path_under_the_folder_is_allowed_also_where_the_folder_is_a_link(project: Path) -> None:
    assert confined(str(project / "inbox/rows.csv"), "way-in", "dataset") == str(project / "inbox/rows.csv")


@pytest.mark.parametrize(
    "path",
    [
        *("secrets/rows.csv", "inbox/../secrets/rows.csv", "../x.csv", "inbox/../../x.csv", "/etc/passwd", "rows.csv"),
        *("inbox-of-others/rows.csv", "inbox/way-out/rows.csv", "inbox/rows-out.csv", "inbox/new-out.csv", ".", "/"),
        *("inbox/way-out/../secrets/rows.csv", "inbox/round/rows.csv", "inbox/round"),
        *("~/rows.csv", "~root/rows.csv", "$HOME/rows.csv", "inbox/$X.csv", "%HOME%/x.csv", "inbox/{{ x }}.csv"),
        *("s3://bucket/rows.csv", "file:///etc/passwd", "gs:x", "http://127.0.0.1/x.csv", "C:\\x.csv", "inbox\\..\\x"),
        *("//host/share/x.csv", "", " ", "inbox/a\0b.csv", "inbox/" + "x" * 5000 + "/../../secrets/rows.csv"),
    ],
)
def test_every_other_path_is_refused(path: str) -> None:
    with pytest.raises(NotAllowed, match="dataset") as refused:
        confined(path, "inbox", "dataset")
    assert len(str(refused.value)) < 400
