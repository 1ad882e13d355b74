"""Checks of an output folder before anything is paid."""

from pathlib import Path

from pareta_batch.answers.output_folder import OutputFolder, Owner
from pareta_batch.errors import OutputError
from pareta_batch.ledger import Ledger
from pareta_batch.plurals import quantity
from pareta_batch.rows import FOLDER_OWNER, Address, AnyDataset, is_part, local_files
from pareta_batch.spec import Batch


def check_folder(batch: Batch, address: Address) -> None:
    """Check that a folder can be written, has nothing of others in it, and has no file in common with the dataset.

    Raises OutputError.
    """
    if _shares_files(batch.dataset, address):
        name = address.name_of(address.path)
        raise OutputError(
            f"answers folder {name}: it shares files with the dataset {batch.dataset}; choose another output"
        )
    folder = OutputFolder(address)
    if above := folder.owner_above():
        raise OutputError(f"answers folder {folder.name}: it is in the answers folder {above}; choose another output")
    owner, files = folder.owner(), folder.files()
    if owner is None and files:
        raise OutputError(
            f"answers folder {folder.name}: it holds {files[0]!r}, which no batch wrote; choose an empty folder"
        )
    if owner is not None and owner.batch != batch.name:
        raise OutputError(
            f"answers folder {folder.name}: folder of batch {owner.batch!r}; choose another output for {batch.name!r}"
        )
    folder.check_writable()


def take_folder(batch: Batch, address: Address, token: str, ledger: Ledger) -> None:
    """Write the marker of a batch and its ledger into a folder.

    A folder from another ledger is taken over only if this ledger has as many answers; raises OutputError.
    """
    folder, owner = OutputFolder(address), Owner(batch.name, token)
    if (found := folder.owner()) == owner:
        return
    if found is not None:
        _check_takeover(batch, folder, ledger)
    folder.take(owner)


def _check_takeover(batch: Batch, folder: OutputFolder, ledger: Ledger) -> None:
    # Imported late: output_checks imports this module.
    from pareta_batch.answers.output_checks import answers_in

    existing = sum(answers_in(folder.dataset_of(part)) for part in folder.parts())
    if existing > (settled := ledger.tally(batch.name).settled):
        raise OutputError(
            f"answers folder {folder.name}: it holds {quantity(existing, 'answer')}, the ledger has {settled} for "
            f"batch {batch.name!r}; set PARETA_LEDGER_URL to the ledger of that run, or choose another output"
        )


def _shares_files(dataset: AnyDataset, address: Address) -> bool:
    if address.store == "file":
        folder = Path(address.path)
        below = [file for file in local_files(dataset) if file.resolve().is_relative_to(folder.resolve())]
        return bool(below) or is_part(dataset, folder / FOLDER_OWNER)
    try:
        given = Address.parse(str(dataset))
    except ValueError:  # a table in memory
        return False
    if (given.store, dict(given.options)) != (address.store, dict(address.options)):
        return False
    one, other = f"{given.path.rstrip('/')}/", f"{address.path.rstrip('/')}/"
    return one.startswith(other) or other.startswith(one)
