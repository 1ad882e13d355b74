"""Spec files: a flow's parameters as YAML or JSON, with single fields overridden from the command line."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

Spec = TypeVar("Spec", bound=BaseModel)
Fields = dict[str, Any]  # what YAML can hold


class SpecError(ValueError):
    """A spec that cannot be used; the message says which file, which field and why."""


def read_spec(kind: type[Spec], path: Path, overrides: Iterable[str] = ()) -> Spec:
    """Read a spec file and check it.

    Raises SpecError for a file that cannot be read, an override that is no KEY=VALUE, or a field that does not fit.
    """
    fields = fields_of(path)
    for override in overrides:
        _override(fields, override)
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise SpecError("\n".join(_explained(path, problem) for problem in error.errors(include_url=False))) from None


def fields_of(path: Path) -> Fields:
    """Read the fields of a spec file, unchecked. Raises SpecError."""
    try:
        # JSON is YAML, so one reader does for both.
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"{path}: {error}") from None
    if not isinstance(fields, dict):
        raise SpecError(f"{path}: holds no fields (key: value)")
    return fields


def _override(fields: Fields, override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise SpecError(f"--set {override!r}: write it as key=value")
    *parents, last = key.split(".")
    for parent in parents:
        fields = fields.setdefault(parent, {})
        if not isinstance(fields, dict):
            raise SpecError(f"--set {override!r}: {parent!r} has no fields of its own")
    try:
        fields[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SpecError(f"--set {override!r}: {error}") from None


def _explained(path: Path, problem: Any) -> str:  # pydantic's ErrorDetails, which it does not export
    field = ".".join(map(str, problem["loc"])) or "the whole"
    given = "" if problem["type"] == "missing" else f" (it is {problem['input']!r:.80})"
    return f"{path}: {field}: {problem['msg']}{given}"
