"""Spec files: a flow's parameters as YAML or JSON, with single fields overridden from the command line."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from pareta_batch import problem_lines
from pareta_cli.overrides import override
from pareta_cli.spec_kinds import Command, command_for, command_named, kind_of
from pareta_cli.spec_reader import Value, read_value
from pareta_cli.spec_scalars import SpecSyntaxError, shown

Spec = TypeVar("Spec", bound=BaseModel)
Fields = dict[str, Value]

MAX_FILE_BYTES = 1024 * 1024
"""Bytes of a spec file. Raising it allows files that take seconds to read."""
MAX_PARAMETERS_BYTES = 511 * 1024
"""Bytes of a spec as JSON. Prefect refuses flow-run parameters above 512 KiB, other parameters included."""

SCHEMA_FIELD = "$schema"
"""Field in which editors look for the schema of a JSON file; it is no parameter."""

_KEY = re.compile(r"pareta_sk_[A-Za-z0-9_-]{8}")
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class SpecError(ValueError):
    """An invalid spec; the message names the file, the field and the problem."""


def read_spec(kind: type[Spec], path: Path, overrides: Iterable[str] = ()) -> Spec:
    """Read a spec file and validate it.

    Raises SpecError for an unreadable file, an override that is not KEY=VALUE, or an invalid field.
    """
    return spec_from(kind, path, fields_of(path), overrides)


def read_any_spec(path: Path, overrides: Iterable[str] = (), command: str | None = None) -> tuple[Command, BaseModel]:
    """Read the spec of any command and validate it; without `command`, detect it from the fields. Raises SpecError."""
    fields = fields_of(path)
    found = command_named(command, "--for") if command else command_for(path, fields)
    return found, spec_from(kind_of(found), path, fields, overrides)


def spec_from(kind: type[Spec], path: Path, fields: Fields, overrides: Iterable[str] = ()) -> Spec:
    """Apply the overrides and validate the fields of a spec file. Raises SpecError."""
    for setting in overrides:
        _set(kind, fields, setting)
    try:
        spec = kind.model_validate(fields)
    except ValidationError as error:
        raise SpecError("\n".join(f"{path}: {problem}" for problem in problem_lines(kind, error, shown))) from None
    _check_size(path, spec)
    return spec


def fields_of(path: Path) -> Fields:
    """Read the fields of a spec file without validation. Raises SpecError."""
    text = _text_of(path)
    if key := _key_in(text):
        line = text.count("\n", 0, key.start()) + 1
        raise SpecError(f"{path} line {line}: holds an API key; set it as PARETA_API_KEY in the environment instead")
    try:
        fields = read_value(text)
    except SpecSyntaxError as error:
        raise SpecError(f"{path}{f' line {error.line}' if error.line else ''}: {error.problem}") from None
    if fields is None:
        raise SpecError(f"{path}: empty file; write fields (key: value)")
    if not isinstance(fields, dict):
        raise SpecError(f"{path}: not a mapping; write fields (key: value)")
    if isinstance(fields.get(SCHEMA_FIELD), str):
        del fields[SCHEMA_FIELD]
    return fields


def _key_in(text: str) -> re.Match[str] | None:
    # Parameters of a run are shown by Prefect, and kept in its database.
    return _KEY.search(text)


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except IsADirectoryError:
        raise SpecError(f"{path}: is a directory; name a YAML or JSON file") from None
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file; write a spec with: pareta-pipeline init DATASET") from None
    except (OSError, ValueError) as error:
        raise SpecError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_FILE_BYTES:
        raise SpecError(f"{path}: is larger than {MAX_FILE_BYTES // 1024} KiB; keep texts in columns of the dataset")
    if content.startswith(UTF_16_MARKS):
        raise SpecError(f"{path}: is UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SpecError(
            f"{path} line {line}: byte 0x{content[error.start]:02x} is not UTF-8; save it as UTF-8"
        ) from None


def _set(kind: type[BaseModel], fields: Fields, setting: str) -> None:
    if _key_in(setting):
        raise SpecError("--set: a field or a value is an API key; set it as PARETA_API_KEY in the environment instead")
    try:
        override(kind, fields, setting)
    except SpecSyntaxError as error:
        raise SpecError(f"--set {shown(setting)}: {error.problem}") from None


def _check_size(path: Path, spec: BaseModel) -> None:
    """Raise SpecError if the spec is too large for the parameters of a flow run in Prefect."""
    fields = spec.model_dump(mode="json")
    size = _size(fields)
    if size > MAX_PARAMETERS_BYTES:
        name, largest = _largest(fields)
        raise SpecError(
            f"{path}: {name} takes {largest // 1024} KiB of {size // 1024} KiB; the maximum for a spec is "
            f"{MAX_PARAMETERS_BYTES // 1024} KiB (Prefect's limit); shorten it, or move text to a column of the dataset"
        )


def _largest(fields: Fields) -> tuple[str, int]:
    """Return the dotted name of the largest field and its size as JSON, in bytes."""
    name, value = max(fields.items(), key=lambda field: _size(field[1]))
    if isinstance(value, dict) and value:
        inner, size = _largest(value)
        return f"{name}.{inner}", size
    return name, _size(value)


def _size(value: Value) -> int:
    return len(json.dumps(value, separators=(",", ":")))
