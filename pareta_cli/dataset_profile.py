"""Profile of a dataset's columns: which one identifies a row, which is a label, which is the text."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pareta_batch import plain

MAX_LABELS = 20
"""Different values of a label column. Raising it lists more labels in the first prompt."""
MAX_LABEL_CHARS = 40
MAX_ID_CHARS = 100
MIN_ROWS_PER_LABEL = 2
"""Rows per different value of a label column. Raising it takes fewer columns for labels."""

ID_NAME = re.compile(r"(?i)(^|[_\-. ])(id|uuid|guid|key|nr|no|number|code|ref|sku)$|^(id|row|index)([_\-. ]|$)")
CAMEL_ID = re.compile(r"[a-z](Id|ID|Uuid|UUID)$")
TEXT_NAME = re.compile(
    r"(?i)(text|document|content|body|message|ticket|prompt|input|question|review|comment|description|title|query)"
)
LABEL_NAME = re.compile(
    r"(?i)(^|[_\-. ])(label|class|category|team|expected|answer|truth|gold|target|topic|intent|sentiment)$"
)
NOT_IN_A_TEMPLATE = re.compile(r"[{}:!]|^\s*[%#]|^\s*$")
"""Column names that a prompt cannot name."""


@dataclass
class Column:
    """Counts of one column, after all rows were seen."""

    name: str
    rows: int = 0
    missing: int = 0
    chars: int = 0
    longest: int = 0
    labels: dict[str, int] | None = field(default_factory=dict)
    _seen: set[int] | None = field(default_factory=set)

    def see(self, value: object) -> None:
        """Count one value; a dictionary or a list counts as its text."""
        found = plain(value)
        self.rows += 1
        if found is None or found == "":
            self.missing += 1
            return
        text = str(found)
        self.chars += len(text)
        self.longest = max(self.longest, len(text))
        self._see_text(text)

    def _see_text(self, text: str) -> None:
        if self._seen is not None:
            self._seen = None if hash(text) in self._seen else self._seen
        if self._seen is not None:
            self._seen.add(hash(text))
        if self.labels is not None:
            self.labels[text] = self.labels.get(text, 0) + 1
            if len(self.labels) > MAX_LABELS or len(text) > MAX_LABEL_CHARS or "\n" in text:
                self.labels = None

    @property
    def is_full(self) -> bool:
        """Whether every row has a value."""
        return self.rows > 0 and not self.missing

    @property
    def is_unique(self) -> bool:
        """Whether every row has a value of its own."""
        return self.is_full and self._seen is not None

    @property
    def is_label(self) -> bool:
        """Whether the values look like labels: few, short, repeated."""
        return self.labels is not None and 1 < len(self.labels) <= (self.rows - self.missing) / MIN_ROWS_PER_LABEL

    @property
    def mean_chars(self) -> float:
        """Mean characters of a value."""
        return self.chars / max(1, self.rows - self.missing)

    def __str__(self) -> str:
        kinds = []
        if self.is_unique:
            kinds.append("unique")
        if self.is_label:
            kinds.append(f"{len(self.labels or ())} different values")
        if self.missing:
            kinds.append(f"{self.missing:,} rows without a value")
        kinds.append(f"up to {self.longest:,} characters")
        return ", ".join(kinds)


def profile(names: Sequence[str], rows: Iterable[Mapping[str, object]]) -> list[Column]:
    """Return the columns of a dataset, in order, after all rows were read once."""
    columns = [Column(name) for name in names]
    for row in rows:
        for column in columns:
            column.see(row.get(column.name))
    return columns


def id_column(columns: Sequence[Column]) -> Column | None:
    """Return the column that identifies a row: unique, short, and named like an id; None without one."""
    unique = [column for column in columns if column.is_unique and column.longest <= MAX_ID_CHARS]
    by_name = [column for column in unique if column.name.lower() == "id"]
    by_name += [column for column in unique if ID_NAME.search(column.name) or CAMEL_ID.search(column.name)]
    return by_name[0] if by_name else None


def label_column(columns: Sequence[Column]) -> Column | None:
    """Return the column with the labels: named like one, else the only one whose values look like labels."""
    found = [column for column in columns if column.is_label]
    named = [column for column in found if LABEL_NAME.search(column.name)]
    if named:
        return named[0]
    return found[0] if len(found) == 1 else None


def text_column(columns: Sequence[Column], apart_from: Sequence[Column | None] = ()) -> Column | None:
    """Return the column to send: the longest values, those with a telling name first; None if no column has no gap."""
    usable = [column for column in columns if column.is_full and not NOT_IN_A_TEMPLATE.search(column.name)]
    best = [column for column in usable if column not in apart_from] or usable
    return max(best, key=lambda column: (bool(TEXT_NAME.search(column.name)), column.mean_chars), default=None)
