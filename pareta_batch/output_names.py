"""Names of outputs: an answers file, or a folder of this machine or of an object store. No I/O."""

import re
from pathlib import Path, PurePath

from pareta_batch.rows import Address

OUTPUT_FORMATS: tuple[str, ...] = (".csv", ".jsonl", ".parquet")

FOLDER_ENDS = "/"
"""End of an output that is a folder of parts."""

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def checked_output(output: str) -> str:
    """Return the name of an output; raises ValueError for an unknown format, and for a folder that is not one's own."""
    if _is_folder(output):
        _check_folder(output)
    elif found := URL.match(output):
        raise ValueError(f"output {found[0]}…: an object store holds answers as a folder of parts; end its name in /")
    elif PurePath(output).suffix not in OUTPUT_FORMATS:
        raise ValueError(f"output {output!r} must end in {', '.join(OUTPUT_FORMATS)}, or in / for a folder of parts")
    return output


def folder_address(output: str | None) -> Address | None:
    """Return the address of an output folder; None for an answers file."""
    return Address.parse(output) if output is not None and _is_folder(output) else None


def _is_folder(output: str) -> bool:
    name = output.partition("?")[0] if URL.match(output) else output
    return name.endswith(FOLDER_ENDS)


def page_of(output: str, name: str) -> Path:
    """Return the path of the page of the batch `name`: next to its answers, for a folder of an object store here."""
    folder = folder_address(output)
    if folder is None:
        return Path(output).with_suffix(".html")
    path = Path(folder.path if folder.store == "file" else f"answers/{name}")
    return path.with_name(f"{path.name}.html")


def _check_folder(output: str) -> None:
    try:
        address = Address.parse(output)
    except ValueError as problem:
        raise ValueError(f"output: {problem}") from None
    if PurePath(address.path).name in ("", "..") or "\0" in output:
        raise ValueError(f"output {output!r}: no name; name a folder for the answers of this batch alone")
    if address.store != "file" and "/" not in address.path.strip("/"):
        raise ValueError(f"output {output!r}: a whole bucket; name a folder in it")
    if address.anonymous:
        raise ValueError(f"output {output!r}: an anonymous user cannot write; leave anonymous@ out")
