"""Paths from outside: under the folder, wherever links and dots lead."""

from pathlib import Path

import pyarrow as pa
import pytest

from pareta_batch.allowed_folder import confined, confined_dataset
from pareta_batch.errors import NotAllowed
from pareta_batch.rows.frames import Table
from pareta_batch.rows.source import Source


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


@pytest.mark.parametrize("dataset", ["inbox", "inbox/*.csv", {"path": "inbox", "encoding": "utf-8"}])
def test_a_folder_or_glob_with_a_file_that_leads_out_is_refused(project: Path, dataset: str | dict[str, str]) -> None:
    (project / "secrets/rows.csv").touch()
    source = dataset if isinstance(dataset, str) else Source.model_validate(dataset)
    with pytest.raises(NotAllowed, match="leads out of"):
        confined_dataset(source, "inbox", "dataset")


def test_a_dataset_under_the_folder_keeps_its_options(project: Path) -> None:
    (project / "inbox/deep/a.csv").touch()
    source = Source(path="inbox/deep/*.csv", delimiter=";")
    found = confined_dataset(source, "inbox", "dataset")
    assert found == Source(path=str(project / "inbox/deep/*.csv"), delimiter=";")
    assert confined_dataset("inbox/deep", "inbox", "dataset") == str(project / "inbox/deep")


@pytest.mark.parametrize("dataset", ["s3://bucket/rows.csv", "file:///etc/passwd", "gs://b/*.csv", "-"])
def test_a_dataset_that_is_no_file_of_the_folder_is_refused(project: Path, dataset: str) -> None:
    with pytest.raises(NotAllowed):
        confined_dataset(dataset, "inbox", "dataset")


def test_a_table_in_memory_is_no_file_of_the_folder(project: Path) -> None:
    with pytest.raises(NotAllowed, match="a table in memory"):
        confined_dataset(Table.of(pa.table({"id": [1]})), "inbox", "dataset")
