"""Validation of answers against `sampling.response_format`, which services do not always enforce."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from pareta_batch import schema_checker

Fit = Literal["fits", "misfit", "unchecked"]

MAX_KILLED_CHECKS = 3
"""Killed checks after which the session stops checking; higher delays the settling of later answers longer."""

_FITS: Mapping[bytes, Fit] = {
    schema_checker.FITS: "fits",
    schema_checker.MISFIT: "misfit",
    schema_checker.UNCHECKED: "unchecked",
}


@dataclass(frozen=True)
class Checked:
    """The result of a check.

    `repaired`: the JSON of an answer that fits after a repair, with a `note` on it. `problem`: the validator's
    message for an answer that does not fit.
    """

    fit: Fit
    repaired: str | None = None
    note: str | None = None
    problem: str | None = None


class AnswerCheck:
    """A validator of answers against the response format; without one, any text is valid."""

    def __init__(
        self,
        response_format: Any,  # any JSON value
        *,
        repairs: bool = False,
        max_killed: int = MAX_KILLED_CHECKS,
    ) -> None:
        self._schema = _schema_of(response_format)
        self._repairs = repairs
        self._only_object = self._schema == {"type": "object"} and not repairs
        self._killed = 0
        self._max_killed = max_killed
        self._checker: subprocess.Popen[bytes] | None = None
        # One thread waits for the process, so that the session's loop does not block.
        self._thread = ThreadPoolExecutor(1, "schema check")

    async def __call__(self, answer: str) -> Fit:
        """Return whether an answer fits; `unchecked` if the check takes too long."""
        return (await self.read(answer)).fit

    async def read(self, answer: str) -> Checked:
        """Return whether an answer fits, if need be after a repair of its JSON."""
        if self._schema is None:
            return Checked("fits")
        if self._only_object:
            return Checked(_is_object(answer), problem="not a JSON object")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, answer)

    def close(self) -> None:
        """End the process; a running check returns `unchecked`."""
        self._killed = self._max_killed
        if self._checker is not None:
            self._checker.kill()
        self._thread.shutdown()
        self._reap()

    def _ask(self, answer: str) -> Checked:
        if self._killed >= self._max_killed:
            return Checked("unchecked")
        try:
            self._checker = self._checker or _started(self._schema, repairs=self._repairs)
            assert self._checker.stdin is not None
            assert self._checker.stdout is not None
            schema_checker.sent(self._checker.stdin, answer.encode("utf-8", "replace"))
            reply = schema_checker.received(self._checker.stdout)
        except OSError:
            reply = None
        if not reply:
            self._killed += 1
            self._reap()
            return Checked("unchecked")
        return Checked(_FITS.get(reply[:1], "unchecked"), **json.loads(reply[1:]))

    def _reap(self) -> None:
        checker, self._checker = self._checker, None
        if checker is not None:
            checker.kill()
            # Not `communicate` or `with`: flushing the rest of the buffer to a broken pipe raises again.
            checker.wait()
            for pipe in (checker.stdin, checker.stdout):
                assert pipe is not None
                try:
                    pipe.close()
                except OSError:
                    continue


def check_response_format(response_format: Any) -> None:  # any JSON value
    """Raise ValueError for an invalid schema, or one with a reference that cannot be resolved."""
    match response_format:
        case {"type": "json_schema", "json_schema": {"schema": given}} if not isinstance(given, Mapping | bool):
            raise ValueError(f"sampling.response_format has no valid JSON schema: {given!r:.60} is no object")
    schema = _schema_of(response_format)
    if schema is None or schema == {"type": "object"}:
        return
    # Most batches use no schema, and importing the library takes 0.1 s.
    from jsonschema import SchemaError

    try:
        validator = schema_checker.validator_of(schema)
        type(validator).check_schema(schema)
        _check_references(schema)
    except SchemaError as error:
        raise ValueError(f"sampling.response_format has no valid JSON schema: {error.message}") from None
    except (TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"sampling.response_format has no valid JSON schema: {error}") from None


def has_schema(response_format: Any) -> bool:  # any JSON value
    """Return whether answers are checked against a format."""
    return _schema_of(response_format) is not None


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


def _started(schema: Any, *, repairs: bool) -> "subprocess.Popen[bytes]":
    # -P: modules in the program's folder would shadow modules of other packages.
    command = [sys.executable, "-P", schema_checker.__file__, *([schema_checker.REPAIR] if repairs else [])]
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
    """Raise ValueError for a reference that is unresolvable, on the network, or part of an endless cycle."""
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
        raise ValueError(
            "sampling.response_format: a $ref refers to itself in an endless cycle; remove the cycle"
        ) from None


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
    """Yield the subschemas that apply to the same value as the schema itself."""
    yield from (schema[name] for name in _IN_PLACE if name in schema)
    for name in _IN_PLACE_LISTS:
        yield from schema.get(name, ())
    for name in _IN_PLACE_VALUES:
        yield from schema.get(name, {}).values()
