"""What an answer has to be when `sampling.response_format` asks for JSON: a service does not always keep to it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from pareta_batch import schema_checker

Fit = Literal["fits", "misfit", "unchecked"]

MOST_KILLED = 3
"""Checks that may take too long before the session checks no more: each keeps later answers from being settled."""

_FITS: Mapping[bytes, Fit] = {
    schema_checker.FITS: "fits",
    schema_checker.MISFIT: "misfit",
    schema_checker.UNCHECKED: "unchecked",
}


class AnswerCheck:
    """Checks answers against the format that was asked for; without one, every text fits."""

    def __init__(self, response_format: Any) -> None:  # whatever the sampling fields say
        self._schema = _schema_of(response_format)
        self._only_object = self._schema == {"type": "object"}
        self._killed = 0
        self._checker: subprocess.Popen[bytes] | None = None
        # One thread: it waits for the process, and the loop of the session for the thread.
        self._thread = ThreadPoolExecutor(1, "schema check")

    async def __call__(self, answer: str) -> Fit:
        """Return whether an answer fits; `unchecked` where that takes too long."""
        if self._schema is None:
            return "fits"
        if self._only_object:
            return _is_object(answer)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, answer)

    def close(self) -> None:
        """End the process; a check under way ends as `unchecked`."""
        self._killed = MOST_KILLED
        if self._checker is not None:
            self._checker.kill()
        self._thread.shutdown()
        self._reap()

    def _ask(self, answer: str) -> Fit:
        if self._killed >= MOST_KILLED:
            return "unchecked"
        try:
            self._checker = self._checker or _started(self._schema)
            assert self._checker.stdin is not None
            assert self._checker.stdout is not None
            schema_checker.sent(self._checker.stdin, answer.encode("utf-8", "replace"))
            verdict = self._checker.stdout.read(1)
        except OSError:
            verdict = b""
        if not verdict:
            self._killed += 1
            self._reap()
        return _FITS.get(verdict, "unchecked")

    def _reap(self) -> None:
        checker, self._checker = self._checker, None
        if checker is not None:
            checker.kill()
            # Not by `communicate` or `with`: what is left in the buffer of a broken pipe raises once more.
            checker.wait()
            for pipe in (checker.stdin, checker.stdout):
                assert pipe is not None
                try:
                    pipe.close()
                except OSError:
                    continue


def check_response_format(response_format: Any) -> None:  # whatever the sampling fields say
    """Raise ValueError for a schema that is not valid, or that refers to what it does not hold."""
    match response_format:
        case {"type": "json_schema", "json_schema": {"schema": given}} if not isinstance(given, Mapping | bool):
            raise ValueError(f"sampling.response_format has no valid JSON schema: {given!r:.60} is no object")
    schema = _schema_of(response_format)
    if schema is None or schema == {"type": "object"}:
        return
    # Most batches ask for no format, and the library takes a tenth of a second to import.
    from jsonschema import SchemaError

    try:
        validator = schema_checker.validator_of(schema)
        type(validator).check_schema(schema)
        _check_references(schema)
    except SchemaError as error:
        raise ValueError(f"sampling.response_format has no valid JSON schema: {error.message}") from None
    except (TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"sampling.response_format has no valid JSON schema: {error}") from None


def _schema_of(response_format: Any) -> Any:  # a JSON schema, or none
    match response_format:
        case {"type": "json_schema", "json_schema": {"schema": Mapping() | bool() as schema}}:
            return schema
        case {"type": "json_object"}:
            return {"type": "object"}
        case _:
            return None


def _is_object(answer: str) -> Fit:
    try:
        return "fits" if isinstance(json.loads(answer), dict) else "misfit"
    except (ValueError, RecursionError):
        return "misfit"


def _started(schema: Any) -> "subprocess.Popen[bytes]":
    # -P: the folder of the program holds modules with the names of others.
    command = [sys.executable, "-P", schema_checker.__file__]
    checker = subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert checker.stdin is not None
    schema_checker.sent(checker.stdin, json.dumps(schema).encode())
    return checker


_IN_PLACE_LISTS = ("allOf", "anyOf", "oneOf")
_IN_PLACE = ("not", "if", "then", "else")
_IN_PLACE_VALUES = ("dependentSchemas", "dependencies")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def _check_references(schema: Any) -> None:
    """Raise ValueError for a reference that leads nowhere, to the network, or back to itself without an end."""
    from jsonschema_specifications import REGISTRY
    from referencing.jsonschema import DRAFT202012, specification_with

    dialect = schema.get("$schema", "") if isinstance(schema, Mapping) else ""
    specification = specification_with(dialect, default=DRAFT202012)
    root = specification.create_resource(schema)
    found = [(REGISTRY.resolver_with_root(root), schema)]
    applied: dict[int, set[int]] = {}
    while found:
        resolver, each = found.pop()
        if not isinstance(each, Mapping) or id(each) in applied:
            continue
        resolver = resolver.in_subresource(specification.create_resource(each))
        targets = [_looked_up(resolver, each[name]) for name in _REFERENCES if name in each]
        applied[id(each)] = {id(other) for _, other in targets} | {id(other) for other in _in_place(each)}
        found += targets
        found += [(resolver, other) for other in specification.subresources_of(each)]
    try:
        TopologicalSorter(applied).prepare()
    except CycleError:
        raise ValueError("sampling.response_format: a $ref leads back to itself without an end") from None


def _looked_up(resolver: Any, reference: str) -> tuple[Any, Any]:  # of `referencing`
    from referencing.exceptions import Unresolvable

    try:
        target = resolver.lookup(reference)
    except (Unresolvable, ValueError):
        raise ValueError(
            f"sampling.response_format: $ref {reference!r:.200} cannot be resolved; write its target into $defs"
        ) from None
    return target.resolver, target.contents


def _in_place(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the subschemas that look at the same value as the schema itself."""
    yield from (schema[name] for name in _IN_PLACE if name in schema)
    for name in _IN_PLACE_LISTS:
        yield from schema.get(name, ())
    for name in _IN_PLACE_VALUES:
        yield from schema.get(name, {}).values()
