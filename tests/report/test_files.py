"""Files of a report: whole or not at all, and never over a file of somebody else."""

from pathlib import Path

import pytest

from pareta_report import (
    Page,
    exports_of,
    judge,
    may_replace,
    quality_over_time,
    quality_points,
    write_exports,
    write_page,
)
from pareta_report.render.files import EARLIER_MARK, HEAD_CHARS, MARK, PLOT_CREATOR
from tests.report.runs import right, run, scored
from tests.report.test_page import NOW, full_page

OTHERS = {
    "page.html": "<!doctype html><html><head><title>mine</title></head></html>",
    "named.html": f"<!doctype html><html><head><title>x</title></head><body>{'x' * 2_000}{MARK}</body></html>",
    "text.html": f"about {MARK}",
    "data.csv": "id,text\na,b\n",
    "spec.json": '{"name": "x"}',
    "list.json": '[{"name": "x"}]',
    "empty.json": "[]",
    "deep.json": "[" * 100_000,
    "bytes.html": "\x00\x01",
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_somebody_else_is_not_replaced(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(OTHERS[name], encoding="utf-8")
    assert not may_replace(path)
    with pytest.raises(FileExistsError, match="the existing file is not a report"):
        write_page(Page("t", NOW), path)
    assert path.read_text(encoding="utf-8") == OTHERS[name]
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_report_of_ours_is_replaced_and_so_is_one_from_before_the_mark(tmp_path: Path) -> None:
    comparison = judge("c", None, run(scored("a", right(95, 100)), scored("b", right(20, 100))))
    page = write_page(full_page("</title>" + "x" * 5_000), tmp_path / "report.html")
    exports = write_exports([comparison], page)
    assert exports == exports_of(page)
    earlier = tmp_path / "earlier.html"
    earlier.write_text(page.read_text(encoding="utf-8").replace(MARK, ""), encoding="utf-8")
    assert EARLIER_MARK in earlier.read_text(encoding="utf-8")
    (tmp_path / "empty.html").touch()
    assert all(map(may_replace, (page, *exports, earlier, tmp_path / "empty.html", tmp_path / "new.html")))
    write_exports([comparison], write_page(Page("t", NOW), page))


def test_a_plot_of_ours_is_replaced_and_another_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "plot.svg"
    drawn = quality_over_time(quality_points("2026-11-01", run(scored("a", right(95, 100)))))
    assert f">{PLOT_CREATOR}<" in drawn[:HEAD_CHARS]
    for ours in (drawn, drawn.replace(PLOT_CREATOR, "")):
        path.write_text(ours, encoding="utf-8")
        assert may_replace(path)
    path.write_text('<svg viewBox="0 0 1 1"/>', encoding="utf-8")
    assert not may_replace(path)


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "loop.html").symlink_to(tmp_path / "loop.html")
    for path in (tmp_path, tmp_path / f"{'x' * 300}.html", tmp_path / "loop.html"):
        assert not may_replace(path)


def test_a_symlink_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "real.html")
    assert write_page(Page("t", NOW), link) == link
    assert link.is_symlink()
    assert may_replace(tmp_path / "real.html")


def test_a_page_that_cannot_be_written_leaves_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_page(Page("old", NOW), tmp_path / "report.html")

    def full(_: Path, __: Path) -> Path:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_page(Page("new", NOW), path)
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    assert "<title>old</title>" in path.read_text(encoding="utf-8")
