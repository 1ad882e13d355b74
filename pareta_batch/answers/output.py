"""The answers of a batch in the place that its output names."""

from pareta_batch.answers.answer_parts import WrittenParts, complete_folder, write_folder
from pareta_batch.answers.answers_file import write_answers
from pareta_batch.ledger import Ledger
from pareta_batch.spec import Batch


def write_output(batch: Batch, ledger: Ledger, written: WrittenParts | None = None) -> str:
    """Write the answers file, or the parts of the folder, and return its path or URL. Raises as `write_answers`.

    `written`: the parts of the folder, if the members of this run have written all of them.
    """
    if written is not None:
        complete_folder(batch, ledger, written)
        return batch.output_name
    return write_folder(batch, ledger) if batch.output_folder else str(write_answers(batch, ledger))
