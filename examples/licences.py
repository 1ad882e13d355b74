"""Collect the licence texts of the installed Python distributions as a labelled dataset.

The texts are real and present on every machine. The label is the licence that the package metadata declares.

    python -m examples.licences --out licences.jsonl
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from functools import lru_cache
from importlib.metadata import Distribution, PackageMetadata, PackagePath, distributions
from pathlib import Path

# Only classifiers with exactly one SPDX identifier. 'Apache Software License' and 'BSD License' are excluded because
# each has several (PEP 639, appendix "mapping license classifiers to SPDX identifiers").
CLASSIFIERS: Mapping[str, str] = {
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Zero-Clause BSD (0BSD)": "0BSD",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
}

# Common values of the free-text License field, in lower case without 'the' and 'license'.
FREE_TEXT: Mapping[str, str] = {
    "mit": "MIT",
    "mit (mit)": "MIT",
    "isc": "ISC",
    "apache 2.0": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "apache version 2.0": "Apache-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd 2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "mpl-2.0": "MPL-2.0",
    "mpl 2.0": "MPL-2.0",
    "psf-2.0": "PSF-2.0",
    "unlicense": "Unlicense",
}

SPDX_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


class Unusable(Enum):
    """Reasons to exclude a distribution."""

    NONE_DECLARED = "no licence declared"
    SEVERAL_DECLARED = "more than one licence declared"
    AMBIGUOUS = "declared licence is ambiguous"
    NO_TEXT = "no licence text"


@dataclass(frozen=True, slots=True)
class Licence:
    """A row: a distribution, its licence text, and its declared SPDX identifier."""

    id: str
    document: str
    licence: str


@dataclass(frozen=True, slots=True)
class Collected:
    """Path of the written file, number of rows, and number of excluded distributions by reason."""

    path: Path
    kept: int
    dropped: Mapping[str, int]


def collect() -> list[Licence]:
    """Return all installed distributions with a text and a single declared licence, ordered by name."""
    return _sort_out(distributions())[0]


def write(path: Path | str) -> Collected:
    """Write the rows as JSON lines (`id`, `document`, `licence`)."""
    kept, dropped = _sort_out(distributions())
    return Collected(_write_lines(Path(path), map(asdict, kept)), len(kept), dropped)


def write_eval_rows(path: Path | str, prompt: str) -> Collected:
    """Write `{"input", "expected"}` rows for an eval set: `prompt` with `{document}` (and `{id}`) filled in.

    A text shared by several distributions is written once, so that the rows are independent.
    Raises ValueError if the prompt does not contain `{document}` or contains an unknown column.
    """
    kept, dropped = _sort_out(distributions())
    distinct = list({row.document: row for row in reversed(kept)}.values())[::-1]
    rows = [{"input": _fill(prompt, row), "expected": row.licence} for row in distinct]
    repeated = {"same text as another": len(kept) - len(distinct)}
    return Collected(_write_lines(Path(path), rows), len(rows), {**dropped, **repeated})


def as_row(distribution: Distribution) -> Licence | Unusable:
    """Return the distribution as a row, or the reason to exclude it."""
    licence = declared_licence(distribution)
    if isinstance(licence, Unusable):
        return licence
    document = licence_text(distribution)
    return Licence(_field(distribution, "Name"), document, licence) if document else Unusable.NO_TEXT


def declared_licence(distribution: Distribution) -> str | Unusable:
    """Return the declared SPDX identifier of a distribution, or the reason to exclude it."""
    expression = _field(distribution, "License-Expression")
    if expression:
        return expression if SPDX_IDENTIFIER.fullmatch(expression) else Unusable.SEVERAL_DECLARED
    free_text = _field(distribution, "License")
    classifiers = {c.rpartition(" :: ")[2] for c in _all(distribution, "Classifier") if _names_a_licence(c)}
    return _agreed(_from_free_text(free_text), classifiers, declared=bool(free_text or classifiers))


def _agreed(free_text: str | None, classifiers: set[str], *, declared: bool) -> str | Unusable:
    known = {CLASSIFIERS[c] for c in classifiers if c in CLASSIFIERS} | ({free_text} if free_text else set())
    if not declared:
        return Unusable.NONE_DECLARED
    if len(classifiers) > 1 or len(known) > 1 or (free_text and any(_contradicts(c, free_text) for c in classifiers)):
        return Unusable.SEVERAL_DECLARED
    return known.pop() if known else Unusable.AMBIGUOUS


def _contradicts(classifier: str, licence: str) -> bool:
    """Return whether an ambiguous classifier excludes the licence, as 'BSD License' excludes ISC."""
    family = classifier.partition(" ")[0].lower()
    return family in {"bsd", "apache"} and not licence.lower().startswith(family)


def _from_free_text(declared: str) -> str | None:
    # Some projects put the whole licence text into the field; its first line is the title.
    first_line = declared.strip().partition("\n")[0].strip().lower()
    words = [word for word in first_line.split() if word not in {"the", "license", "licence"}]
    return FREE_TEXT.get(" ".join(words).replace(",", ""))


def _names_a_licence(classifier: str) -> bool:
    # 'License :: OSI Approved' and 'License :: DFSG approved' alone say nothing about which.
    return classifier.startswith("License :: ") and not classifier.lower().endswith("approved")


def _sort_out(found: Iterable[Distribution]) -> tuple[list[Licence], dict[str, int]]:
    kept: list[Licence] = []
    dropped: Counter[str] = Counter()
    by_name = {_normal(_field(d, "Name")): d for d in found}
    for _, distribution in sorted(by_name.items()):
        match as_row(distribution):
            case Licence() as row:
                kept.append(row)
            case Unusable() as reason:
                dropped[reason.value] += 1
    return kept, dict(sorted(dropped.items()))


def licence_text(distribution: Distribution) -> str:
    """Return the distribution's own licence text, or an empty string."""
    files = [path for path in distribution.files or () if _is_own_licence(path)]
    # 'LICENSE' before 'LICENSE.external': the shortest name is the project's own.
    for path in sorted(files, key=lambda path: (len(path.name), path.name)):
        text = path.read_text(encoding="utf-8").strip()
        if text:
            return text
    return ""


def _is_own_licence(path: PackagePath) -> bool:
    *folders, name = path.parts
    in_metadata = bool(folders) and folders[0].endswith(".dist-info")
    # Deeper folders contain the licences of vendored code.
    return in_metadata and folders[1:] in ([], ["licenses"]) and bool(re.match(r"(?i)licen[cs]e|copying", name))


def _fill(prompt: str, row: Licence) -> str:
    if "{document}" not in prompt:
        raise ValueError("prompt without {document}: every eval row would be equal; add {document} to the prompt")
    try:
        return prompt.format(id=row.id, document=row.document)
    except (KeyError, IndexError) as unknown:
        raise ValueError(f"unknown column {unknown} in the prompt; use one of: id, document") from unknown


def _write_lines(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return path


def _field(distribution: Distribution, name: str) -> str:
    return next(iter(_all(distribution, name)), "").strip()


def _all(distribution: Distribution, name: str) -> list[str]:
    return [str(value) for value in _metadata(distribution).get_all(name) or ()]


@lru_cache(maxsize=1)
def _metadata(distribution: Distribution) -> PackageMetadata:
    """Return the metadata; `Distribution.metadata` parses its file at each access."""
    return distribution.metadata


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write the dataset, and print the numbers of written and excluded rows."""
    parser = argparse.ArgumentParser(prog="python -m examples.licences", description=collect.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the JSON-lines file to write")
    parser.add_argument("--eval-rows", type=Path, help="also write eval rows to this file")
    parser.add_argument("--prompt", default="{document}", help="the prompt of the eval rows, with {document}")
    wanted = parser.parse_args()
    _print_summary(write(wanted.out))
    if wanted.eval_rows:
        _print_summary(write_eval_rows(wanted.eval_rows, wanted.prompt))


def _print_summary(collected: Collected) -> None:
    print(f"{collected.path}: {collected.kept} rows")
    for reason, count in collected.dropped.items():
        print(f"  left out {count:>3}: {reason}")


if __name__ == "__main__":
    main()
