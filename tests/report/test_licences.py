import json
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from examples.licences import (
    SPDX_IDENTIFIER,
    Licence,
    Unusable,
    as_row,
    collect,
    declared_licence,
    write,
    write_eval_rows,
)


def installed(folder: Path, *metadata: str, files: dict[str, str] | None = None) -> Distribution:
    """Install a distribution that is nothing but metadata and licence files."""
    info = folder / "thing-1.0.dist-info"
    texts = {"METADATA": "\n".join(["Metadata-Version: 2.4", "Name: thing", "Version: 1.0", *metadata])} | (files or {})
    for name, text in texts.items():
        (info / name).parent.mkdir(parents=True, exist_ok=True)
        (info / name).write_text(text, encoding="utf-8")
    (info / "RECORD").write_text("".join(f"thing-1.0.dist-info/{name},,\n" for name in texts), encoding="utf-8")
    return Distribution.at(info)


MIT_CLASSIFIER = "Classifier: License :: OSI Approved :: MIT License"
BSD_CLASSIFIER = "Classifier: License :: OSI Approved :: BSD License"
APACHE_CLASSIFIER = "Classifier: License :: OSI Approved :: Apache Software License"


@pytest.mark.parametrize(
    ("metadata", "truth"),
    [
        (["License-Expression: Apache-2.0"], "Apache-2.0"),
        (["License-Expression: MIT OR Apache-2.0"], Unusable.SEVERAL_DECLARED),
        (["License-Expression: MIT AND (0BSD OR Zlib)"], Unusable.SEVERAL_DECLARED),
        ([MIT_CLASSIFIER], "MIT"),
        ([MIT_CLASSIFIER, "Classifier: License :: DFSG approved"], "MIT"),
        ([BSD_CLASSIFIER], Unusable.AMBIGUOUS),
        ([APACHE_CLASSIFIER], Unusable.AMBIGUOUS),
        (["License: BSD-3-Clause", BSD_CLASSIFIER], "BSD-3-Clause"),
        (["License: The MIT License (MIT)"], "MIT"),
        (["License: BSD 2-Clause License"], "BSD-2-Clause"),
        (["License: ISC", BSD_CLASSIFIER], Unusable.SEVERAL_DECLARED),
        (["License: MIT", APACHE_CLASSIFIER], Unusable.SEVERAL_DECLARED),
        (["License: Dual License", BSD_CLASSIFIER, APACHE_CLASSIFIER], Unusable.SEVERAL_DECLARED),
        (["License: see the file"], Unusable.AMBIGUOUS),
        ([], Unusable.NONE_DECLARED),
    ],
)
def test_the_truth_is_one_declared_licence_or_there_is_none(
    tmp_path: Path, metadata: list[str], truth: str | Unusable
) -> None:
    assert declared_licence(installed(tmp_path, *metadata)) == truth


def test_the_text_is_the_projects_own_and_not_that_of_vendored_code(tmp_path: Path) -> None:
    files = {
        "licenses/LICENSE": "our own",
        "licenses/LICENSE.external": "another",
        "licenses/vendor/LICENSE": "vendored",
        "licenses/AUTHORS": "people",
    }
    row = as_row(installed(tmp_path, "License-Expression: MIT", files=files))
    assert not isinstance(row, Unusable)
    assert (row.id, row.document, row.licence) == ("thing", "our own", "MIT")


@pytest.mark.parametrize("files", [{}, {"licenses/LICENSE": " \n"}, {"licenses/AUTHORS": "people"}])
def test_a_distribution_without_a_text_is_left_out(tmp_path: Path, files: dict[str, str]) -> None:
    assert as_row(installed(tmp_path, "License-Expression: MIT", files=files)) is Unusable.NO_TEXT


@pytest.fixture(scope="module")
def rows_here() -> list[Licence]:
    """Return the rows of this environment."""
    return collect()


def test_this_environment_gives_at_least_forty_rows_in_one_order(rows_here: list[Licence]) -> None:
    rows = rows_here
    assert len(rows) >= 40
    assert rows == collect()
    assert len({row.id for row in rows}) == len(rows)
    assert all(SPDX_IDENTIFIER.fullmatch(row.licence) and row.document for row in rows)
    assert len({row.licence for row in rows}) >= 4, "one class alone would be no task"


def test_the_file_holds_the_rows_and_the_count_says_what_was_left_out(tmp_path: Path, rows_here: list[Licence]) -> None:
    written = write(tmp_path / "deep" / "licences.jsonl")
    rows = [json.loads(line) for line in written.path.read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in rows] == [row.id for row in rows_here]
    assert set(rows[0]) == {"id", "document", "licence"}
    assert written.kept == len(rows)
    assert all(count > 0 for count in written.dropped.values())


def test_eval_rows_carry_the_batchs_prompt_and_no_text_twice(tmp_path: Path, rows_here: list[Licence]) -> None:
    written = write_eval_rows(tmp_path / "eval.jsonl", "Which licence is this?\n\n{document}")
    rows = [json.loads(line) for line in written.path.read_text(encoding="utf-8").splitlines()]
    assert all(row["input"].startswith("Which licence is this?\n\n") for row in rows)
    assert {row["expected"] for row in rows} == {row.licence for row in rows_here}
    assert len({row["input"] for row in rows}) == len(rows) == written.kept


@pytest.mark.parametrize("prompt", ["Which licence?", "{document} {licence}"])
def test_a_prompt_that_forgets_the_document_or_tells_the_truth_is_refused(tmp_path: Path, prompt: str) -> None:
    with pytest.raises(ValueError, match="document"):
        write_eval_rows(tmp_path / "eval.jsonl", prompt)
