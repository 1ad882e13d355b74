"""A program that checks answers against a JSON schema, in a separate process because a check may never end.

It reads the length and text of the schema from standard input, then those of each answer. For each answer it writes one
byte for the result, followed by JSON with a repaired answer or with the problem. A check that exceeds `CPU_S` kills the
process: Python's `re` cannot be interrupted in another way.
"""

import json
import re
import signal
import sys
from typing import IO, Any

CPU_S = 1.0
"""CPU seconds that one check may take; higher delays the settling of paid answers longer."""
FITS, MISFIT, UNCHECKED = b"y", b"n", b"?"
LENGTH_BYTES = 8
REPAIR = "--repair"
MAX_PROBLEM_CHARS = 500
"""Characters of the validator's message that are kept; higher sends more when the batch asks again."""

_FENCE = re.compile(r"```[A-Za-z]*\s*\n(.*?)```", re.DOTALL)


def validator_of(schema: Any) -> Any:  # a JSON schema; a validator of jsonschema, which has no types
    """Return the validator of a schema; it never fetches a reference from the network."""
    from jsonschema import Draft202012Validator, validators
    from jsonschema_specifications import REGISTRY

    return validators.validator_for(schema, default=Draft202012Validator)(schema, registry=REGISTRY)


def checked(validator: Any, answer: bytes, *, repairs: bool = False) -> tuple[bytes, dict[str, str]]:
    """Return the result byte of an answer, with a repaired answer and a note, or with the problem."""
    try:
        value = json.loads(answer)
        problem = _problem(validator, value)
    except (ValueError, RecursionError) as error:
        problem = f"it is not JSON: {error}" if isinstance(error, ValueError) else "it is nested too deeply"
    except Exception:  # noqa: BLE001 - for example a pattern that Python cannot compile: the answer may be valid
        return UNCHECKED, {}
    if problem is None:
        return FITS, {}
    found = _repaired(validator, answer.decode("utf-8", "replace")) if repairs else None
    return (FITS, found) if found else (MISFIT, {"problem": problem[:MAX_PROBLEM_CHARS]})


def _problem(validator: Any, value: Any) -> str | None:  # any JSON value
    """Return the validator's message for a value, with its place; None if the value fits."""
    if validator.is_valid(value):
        return None
    from jsonschema.exceptions import best_match

    error = best_match(validator.iter_errors(value))
    return f"at {error.json_path}: {error.message}"


def _repaired(validator: Any, answer: str) -> dict[str, str] | None:
    """Return the JSON of an answer that fits once its code fence is removed or its syntax repaired, with a note."""
    fenced = _FENCE.search(answer)
    for text, note, read in (
        (fenced[1] if fenced else "", "code fence removed", json.loads),
        (fenced[1] if fenced else answer, "JSON syntax repaired", _leniently),
    ):
        try:
            value = read(text)
            # A repair of prose may be anything; only an object or a list shows that JSON was meant.
            if isinstance(value, dict | list) and validator.is_valid(value):
                return {"repaired": json.dumps(value, ensure_ascii=False), "note": f"answer: {note}"}
        except Exception:  # noqa: BLE001, S112 - the repair of any text may fail in any way
            continue
    return None


def _leniently(text: str) -> Any:  # any JSON value
    import json_repair

    return json_repair.loads(text)


def received(stream: IO[bytes]) -> bytes | None:
    """Return the next text from the stream; None at its end."""
    head = stream.read(LENGTH_BYTES)
    return stream.read(int.from_bytes(head)) if len(head) == LENGTH_BYTES else None


def sent(stream: IO[bytes], text: bytes) -> None:
    """Send a text, preceded by its length, and flush the stream."""
    stream.write(len(text).to_bytes(LENGTH_BYTES) + text)
    stream.flush()


def main() -> None:
    """Check answers until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which ends this process itself
    validator = validator_of(json.loads(received(sys.stdin.buffer) or b"true"))
    repairs = REPAIR in sys.argv
    while (answer := received(sys.stdin.buffer)) is not None:
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        verdict, found = checked(validator, answer, repairs=repairs)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sent(sys.stdout.buffer, verdict + json.dumps(found).encode())


if __name__ == "__main__":
    main()
