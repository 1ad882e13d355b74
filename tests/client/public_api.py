"""The public API of the client as text, one line for each name, method, overload and field.

`python -m tests.client.public_api` writes the record that `test_public_api.py` compares with.
"""

import enum
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_overloads

import pareta_client
from pareta_client import AsyncPareta, Pareta, Record

RECORDED = Path(__file__).with_name("public_api.txt")
RESOURCES = [
    "chat.completions",
    "models",
    "endpoints",
    "endpoints.metrics()",
    "tasks",
    "evals",
    "evals.sets",
    "evals.runs",
]
_MODULE = re.compile(r"\bpareta_client(\.\w+)*\.(?=[A-Z])")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def public_api() -> list[str]:
    """Return the lines of the present API."""
    return [*_names(), *_resources(Pareta), *_resources(AsyncPareta)]


def _names() -> Iterator[str]:
    for name in dir(pareta_client):
        found = getattr(pareta_client, name)
        if isinstance(found, type):
            yield f"class {name}({', '.join(base.__name__ for base in found.__mro__[1:-1])})"
            yield from _members(name, found)
        else:
            yield _signature(name, found)


def _members(name: str, kind: type) -> Iterator[str]:
    if issubclass(kind, enum.Enum):
        yield f"{name}: {[(member.name, member.value) for member in kind]}"
        return
    if issubclass(kind, Record):
        yield from (f"{name}.{field}: field" for field in sorted(kind.model_fields))
    elif "__init__" in vars(kind):
        yield _signature(name, kind)
    for member, value in sorted(vars(kind).items()):
        if member.startswith(("_", "model_")):
            continue
        if isinstance(value, property):
            yield f"{name}.{member}: property"
        elif callable(found := getattr(kind, member)):
            yield _signature(f"{name}.{member}", found)


def _resources(kind: type[Pareta] | type[AsyncPareta]) -> Iterator[str]:
    client = kind(api_key="test-key", base_url="http://localhost")
    for path in RESOURCES:
        part: object = client
        for step in path.split("."):
            part = getattr(part, step.removesuffix("()"))
            if step.endswith("()"):
                assert callable(part)
                part = part("ep_1")
        yield f"{kind.__name__}.{path}: {type(part).__name__}"
        for name, method in inspect.getmembers(part, inspect.ismethod):
            if not name.startswith("_"):
                overloads = get_overloads(method.__func__)
                yield from (_signature(f"{kind.__name__}.{path}.{name}", each) for each in (*overloads, method))


def _signature(name: str, found: object) -> str:
    assert callable(found)
    keyword = "async def" if inspect.iscoroutinefunction(found) else "def"
    text = _MODULE.sub("", str(inspect.signature(found)))
    return f"{keyword} {name}{_ADDRESS.sub('', text)}"


if __name__ == "__main__":
    RECORDED.write_text("\n".join(public_api()) + "\n")
