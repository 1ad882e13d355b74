"""The answers of a batch as a folder of parts, one per range of shards; several processes may write parts at once.

The process that runs the batch claims the folder before anything is sent. Each member calls `write_parts` for its range
of shards, and that process calls `complete_folder` when all ranges are written.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, count, islice
from math import ceil

import pyarrow

from pareta_batch.answers.answers_file import SOMETIMES, check_rows_left, layout_of, records_of, results_of_spec
from pareta_batch.answers.formats import WRITERS, Record
from pareta_batch.answers.output_checks import check_path, named_errors
from pareta_batch.answers.output_claims import check_known, claim
from pareta_batch.answers.output_folder import OutputFolder
from pareta_batch.errors import OutputError
from pareta_batch.ledger import Ledger
from pareta_batch.rows import CHUNK_ROWS
from pareta_batch.spec import Batch


@dataclass(frozen=True)
class WrittenParts:
    """The number of parts that were written, of rows in them, and of rows with an answer."""

    parts: int = 0
    rows: int = 0
    answers: int = 0

    def __add__(self, other: "WrittenParts") -> "WrittenParts":
        return WrittenParts(self.parts + other.parts, self.rows + other.rows, self.answers + other.answers)


def shards_per_part(batch: Batch) -> int:
    """Return the number of shards in a part."""
    return ceil(batch.part_rows / batch.shard_size)


def write_folder(batch: Batch, ledger: Ledger) -> str:
    """Write the parts of all shards and complete the folder; return its name. Raises as `write_answers`."""
    check_known(batch.name, ledger)
    check_path(batch, ledger)
    claim(batch, ledger)
    complete_folder(batch, ledger, write_parts(batch, ledger))
    return batch.output_name


def write_parts(
    batch: Batch, ledger: Ledger, shards: range | None = None, check: Callable[[], object] = lambda: None
) -> WrittenParts:
    """Write the parts of a range of shards, or of all shards, from the dataset and the ledger; the folder is claimed.

    A part whose content is the same stays as it is. The dataset is read from its start, so that a process should write
    one large range. Other processes may write other ranges at the same time.

    Args:
        batch, ledger: A batch whose output is a folder, and its ledger.
        shards: Shard numbers from `start` to before `stop`, which are multiples of `shards_per_part` or the last shard.
        check: Called after each group of rows, the last of a part too, before it appears; its error ends the writing.

    Raises:
        ValueError: A part would lie in two ranges.
        OutputError, DatasetError, LedgerError: As for `write_answers`.
    """
    size = shards_per_part(batch)
    first_shard, stop = (0, None) if shards is None else (shards.start, shards.stop * batch.shard_size)
    if first_shard % size:
        raise ValueError(f"shards {shards}: a part has {size} shards; begin at a multiple of {size}")
    folder, suffix, (names, layout) = _folder(batch), batch.output_suffix, layout_of(batch, _results(batch))
    error = names["error"] if batch.output_format == "columns" else "error"
    records = records_of(batch, ledger, names, first_shard * batch.shard_size, stop)
    written = WrittenParts()
    for number in count(first_shard // size):
        part = islice(records, size * batch.shard_size)
        if (first := next(part, None)) is None:
            return written
        with (
            folder.new_part(f"part-{number:05}{suffix}") as path,
            named_errors(batch.output_name),
            WRITERS[suffix](path, layout) as write,
        ):
            for chunk in _chunks(chain([first], part)):
                write(chunk)
                written += WrittenParts(0, len(chunk), sum(record[error] is None for record in chunk))
                check()
        written += WrittenParts(1)
    raise AssertionError("unreachable: count() is infinite")


def complete_folder(batch: Batch, ledger: Ledger, written: WrittenParts) -> None:
    """Remove the parts of an earlier, longer dataset, and write `_SUCCESS`.

    `written` is the sum over all ranges. Raises OutputError if a part is missing, or if the dataset no longer has the
    rows of answers in the ledger.
    """
    folder = _folder(batch)
    expected = {f"part-{number:05}{batch.output_suffix}" for number in range(written.parts)}
    found = set(folder.parts())
    if missing := sorted(expected - found):
        raise OutputError(f"answers folder {batch.output_name}: missing {missing[0]}; run the batch again to write it")
    check_rows_left(batch, ledger, written.answers)
    for name in sorted(found - expected):
        folder.remove(name)
    folder.complete({"batch": batch.name, **vars(written)})


def _folder(batch: Batch) -> OutputFolder:
    assert batch.output_folder is not None
    return OutputFolder(batch.output_folder)


def _results(batch: Batch) -> dict[str, pyarrow.DataType]:
    """Return the results with a column: the same for every part, so that the parts are one dataset."""
    return results_of_spec(batch) | SOMETIMES


def _chunks(records: Iterator[Record]) -> Iterator[list[Record]]:
    while chunk := list(islice(records, CHUNK_ROWS)):
        yield chunk
