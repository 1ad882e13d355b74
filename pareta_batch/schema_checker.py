"""A program that checks answers against a JSON schema, in a separate process because a check may never end.

It reads the length and text of the schema from standard input, then those of each answer, and writes one byte for
each answer. A check that exceeds `CPU_S` kills the process: Python's `re` cannot be interrupted in another way.
"""

import json
import signal
import sys
from typing import IO, Any

CPU_S = 1.0
"""CPU seconds that one check may take; higher delays the settling of paid answers longer."""
FITS, MISFIT, UNCHECKED = b"y", b"n", b"?"
LENGTH_BYTES = 8


def validator_of(schema: Any) -> Any:  # a JSON schema; a validator of jsonschema, which has no types
    """Return the validator of a schema; it never fetches a reference from the network."""
    from jsonschema import Draft202012Validator, validators
    from jsonschema_specifications import REGISTRY

    return validators.validator_for(schema, default=Draft202012Validator)(schema, registry=REGISTRY)


def checked(validator: Any, answer: bytes) -> bytes:
    """Return the result byte of an answer."""
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return MISFIT
    try:
        return FITS if validator.is_valid(value) else MISFIT
    except RecursionError:  # nested deeper than the schema describes
        return MISFIT
    except Exception:  # noqa: BLE001 - for example a pattern that Python cannot compile: the answer may be valid
        return UNCHECKED


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
    while (answer := received(sys.stdin.buffer)) is not None:
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        verdict = checked(validator, answer)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(verdict)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
