"""Commands to a running sandbox: `python -m pareta_sandbox books`."""

import argparse
import json
import os
import sys
import urllib.error
from collections.abc import Callable, Mapping

from pydantic import ValidationError

from pareta_sandbox.faults.kinds import FAULT
from pareta_sandbox.faults.scenario import library
from pareta_sandbox.printing import Parser, print_text
from pareta_sandbox.state.books import format_books
from pareta_sandbox.testing import Sandbox, attach

DEFAULT_URL = "http://127.0.0.1:8765"

Command = Callable[[Sandbox, list[str]], str]


def run(argv: list[str]) -> int:
    """Run one command and return its exit status."""
    chosen = _arguments(argv)
    try:
        print_text(COMMANDS[chosen.command](attach(chosen.url), chosen.values))
    except urllib.error.HTTPError as error:
        print(f"{chosen.command} at {chosen.url}: {error}; is it a sandbox?", file=sys.stderr)  # noqa: T201
        return 2
    except OSError as error:  # also URLError, which holds the reason
        start = "start one with: python -m pareta_sandbox, or name its address with --url or PARETA_BASE_URL"
        why = getattr(error, "reason", error)
        print(f"{chosen.command}: nothing listens at {chosen.url} ({why}); {start}", file=sys.stderr)  # noqa: T201
        return 2
    except ValueError as error:
        print(f"{chosen.command} at {chosen.url}: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def books(sandbox: Sandbox, values: list[str]) -> str:
    """Show the books."""
    return format_books(sandbox.books())


def top_up(sandbox: Sandbox, values: list[str]) -> str:
    """Add dollars to the balance."""
    sandbox.top_up(_one(values, "the amount to add, in dollars"))
    return format_books(sandbox.books()).splitlines()[0]


def balance(sandbox: Sandbox, values: list[str]) -> str:
    """Set the balance, in dollars."""
    sandbox.set_balance(_one(values, "the balance in dollars"))
    return format_books(sandbox.books()).splitlines()[0]


def stop(sandbox: Sandbox, values: list[str]) -> str:
    """Stop an endpoint from outside, as its provider can."""
    endpoint = _one(values, "the id of an endpoint")
    sandbox.stop_endpoint(endpoint)
    return f"{endpoint} is stopped"


def start(sandbox: Sandbox, values: list[str]) -> str:
    """Start an endpoint."""
    endpoint = _one(values, "the id of an endpoint")
    sandbox.start_endpoint(endpoint)
    return f"{endpoint} is started"


def fault(sandbox: Sandbox, values: list[str]) -> str:
    """Switch a fault on: its kind, then its fields as name=value (objects and lists in JSON, null for no value)."""
    fields = dict(value.split("=", 1) for value in values[1:] if "=" in value)
    if not values or len(fields) != len(values) - 1:
        raise ValueError("invalid fault; use a kind, then fields as name=value: fault status status=503 share=0.1")
    try:
        fault = FAULT.validate_python({"kind": values[0], **{name: _field(value) for name, value in fields.items()}})
    except ValidationError as error:
        raise ValueError("; ".join(problem["msg"] for problem in error.errors())) from None
    return sandbox.inject(fault)


def _field(text: str) -> object:
    """Return the value of a field: null, an object or a list in JSON, otherwise the text."""
    return json.loads(text) if text == "null" or text[:1] in ("{", "[") else text


def play(sandbox: Sandbox, values: list[str]) -> str:
    """Begin a scenario, given its name or its YAML file."""
    name = _one(values, "the name or file of a scenario")
    sandbox.play(name)
    return f"{name} has begun"


def clear(sandbox: Sandbox, values: list[str]) -> str:
    """Switch every fault off."""
    sandbox.clear_faults()
    return "no fault is active"


def scenarios(sandbox: Sandbox, values: list[str]) -> str:
    """List the scenarios with the lesson of each."""
    return "\n".join(f"{name:16} {teaches}" for name, teaches in library().items())


COMMANDS: Mapping[str, Command] = {
    "books": books,
    "top-up": top_up,
    "balance": balance,
    "stop": stop,
    "start": start,
    "fault": fault,
    "clear": clear,
    "play": play,
    "scenarios": scenarios,
}


def _arguments(argv: list[str]) -> argparse.Namespace:
    summary = "\n".join(f"  {name:10} {command.__doc__}" for name, command in COMMANDS.items())
    parser = Parser(
        prog="python -m pareta_sandbox",
        description=f"Commands to a running sandbox:\n{summary}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("values", nargs="*", help="arguments of the command")
    parser.add_argument(
        "--url",
        default=os.environ.get("PARETA_BASE_URL") or DEFAULT_URL,
        help="URL of the sandbox (default: PARETA_BASE_URL, else " + DEFAULT_URL + ")",
    )
    return parser.parse_args(argv)


def _one(values: list[str], what: str) -> str:
    if len(values) != 1:
        raise ValueError(f"{len(values)} values instead of one; pass {what}")
    return values[0]
