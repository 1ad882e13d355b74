"""The JSON Schema of a batch's answers: inline, from a file, or of a pydantic model."""

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from pareta_batch.response_format import check_response_format

Schema = dict[str, Any]  # a JSON schema

MAX_SCHEMA_BYTES = 500_000
"""Bytes of a schema file; higher sends more with every row."""

_MODEL = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<model>[A-Za-z_]\w*)")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")
MAX_NAME_CHARS = 64
"""Characters of a schema's name; OpenAI refuses a longer one."""


def load_schema(given: object) -> Schema | None:
    """Return the schema of a spec: a mapping, JSON text, a .json or .yaml file, or `module:Model`.

    Raises ValueError for one that cannot be read or is no valid JSON schema.
    """
    if given is None:
        return None
    schema = _read(given) if isinstance(given, str) else given
    if not isinstance(schema, dict):
        problem = "is not a JSON schema; write a mapping, a file, or module:Model"
        raise ValueError(f"answer_schema {schema!r:.60} {problem}")  # noqa: TRY004 - pydantic converts it
    try:
        check_response_format(response_format_of(schema))
    except ValueError as error:
        raise ValueError(str(error).replace("sampling.response_format", "answer_schema")) from None
    return schema


def response_format_of(schema: Schema) -> dict[str, Any]:
    """Return the `response_format` of a request for answers with a schema."""
    title = _NOT_IN_A_NAME.sub("_", str(schema.get("title", "")))[:MAX_NAME_CHARS]
    return {"type": "json_schema", "json_schema": {"name": title or "answer", "schema": schema}}


def _read(given: str) -> object:
    if given.lstrip().startswith("{"):
        return _parsed(given, "answer_schema")
    if found := _MODEL.fullmatch(given):
        return _schema_of_model(found["module"], found["model"])
    path = Path(given)
    if path.suffix.lower() not in (".json", ".yaml", ".yml"):
        raise ValueError(f"answer_schema {given!r:.200}: use a .json or .yaml file, module:Model, or a mapping")
    try:
        if path.stat().st_size > MAX_SCHEMA_BYTES:
            raise ValueError(f"answer_schema {given!r:.200}: larger than {MAX_SCHEMA_BYTES:,} bytes; shorten it")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"answer_schema {given!r:.200}: {getattr(error, 'strerror', None) or error}") from None
    return _parsed(text, given) if path.suffix.lower() == ".json" else _parsed_yaml(text, given)


def _parsed(text: str, place: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"answer_schema {place!r:.200}: not JSON: {error}") from None


def _parsed_yaml(text: str, place: str) -> object:
    import yaml

    try:
        return json.loads(json.dumps(yaml.safe_load(text)))
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"answer_schema {place!r:.200}: not YAML of JSON values: {error}") from None


def _schema_of_model(module: str, model: str) -> object:
    # A command has no working directory on its path; the models of a project are there.
    sys.path.append(str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), model)
        return found.model_json_schema()
    except Exception as error:  # noqa: BLE001 - any module of a user can be named
        kind = f"{type(error).__name__}: {error}"
        raise ValueError(f"answer_schema '{module}:{model}': no pydantic model can be imported ({kind:.300})") from None
    finally:
        sys.path.pop()
