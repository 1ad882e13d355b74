"""A program that checks answers against a JSON schema: in a process of its own, because a check may take for ever.

Started with the schema's length and text on standard input, then those of each answer; writes one byte for each.
A check that takes too much CPU time kills the process: Python's `re` can be interrupted in no other way.
"""

import json
import signal
import sys
from typing import IO, Any

CPU_S = 1.0
"""CPU seconds that one check may take. Raising it keeps paid answers longer from being settled."""
FITS, MISFIT, UNCHECKED = b"y", b"n", b"?"
LENGTH_BYTES = 8


def validator_of(schema: Any) -> Any:  # a JSON schema; a validator of jsonschema, which has no types
    """Return the validator of a schema; it never fetches a reference from the network."""
    from jsonschema import Draft202012Validator, validators
    from jsonschema_specifications import REGISTRY

    return validators.validator_for(schema, default=Draft202012Validator)(schema, registry=REGISTRY)


def checked(validator: Any, answer: bytes) -> bytes:
    """Return whether an answer fits."""
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return MISFIT
    try:
        return FITS if validator.is_valid(value) else MISFIT
    except RecursionError:  # nested deeper than the schema describes
        return MISFIT
    except Exception:  # noqa: BLE001 - a pattern that Python cannot compile, say: the answer may be good
        return UNCHECKED


def received(stream: IO[bytes]) -> bytes | None:
    """Return the next text that the other end sent; None at the end."""
    head = stream.read(LENGTH_BYTES)
    return stream.read(int.from_bytes(head)) if len(head) == LENGTH_BYTES else None


def sent(stream: IO[bytes], text: bytes) -> None:
    """Send a text to the other end."""
    stream.write(len(text).to_bytes(LENGTH_BYTES) + text)
    stream.flush()


def main() -> None:
    """Check answers until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run: it ends this process when it is done
    validator = validator_of(json.loads(received(sys.stdin.buffer) or b"true"))
    while (answer := received(sys.stdin.buffer)) is not None:
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        verdict = checked(validator, answer)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(verdict)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
