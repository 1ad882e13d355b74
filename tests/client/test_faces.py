"""Both faces are one surface."""

import inspect
from collections.abc import Iterator
from typing import Any, get_overloads

import pytest

from pareta_client import AsyncPareta, Pareta
from tests.client.playing import KEY

NAMESPACES = [
    "chat.completions",
    "models",
    "endpoints",
    "tasks",
    "evals",
    "evals.sets",
    "evals.runs",
]
LIFECYCLE = {"close": "aclose", "__enter__": "__aenter__", "__exit__": "__aexit__"}


def parts_of(client: object) -> Iterator[tuple[str, object]]:
    for path in NAMESPACES:
        part = client
        for name in path.split("."):
            part = getattr(part, name)
        yield path, part


def methods_of(part: object) -> dict[str, Any]:
    return {
        name: getattr(part, name)
        for name in dir(part)
        if not name.startswith("_") and inspect.isroutine(getattr(part, name))
    }


def parameters(method: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(method).parameters.values())


@pytest.fixture
def blocking() -> Iterator[Pareta]:
    with Pareta(api_key=KEY, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def asynchronous() -> AsyncPareta:
    return AsyncPareta(api_key=KEY, base_url="http://localhost")


def test_every_method_stands_on_both_faces_with_the_same_parameters(
    blocking: Pareta, asynchronous: AsyncPareta
) -> None:
    for (path, one), (_, other) in zip(parts_of(blocking), parts_of(asynchronous), strict=True):
        ours, theirs = methods_of(one), methods_of(other)
        assert ours.keys() == theirs.keys(), path
        for name in ours:
            assert parameters(ours[name]) == parameters(theirs[name]), f"{path}.{name}"
            overloads = zip(get_overloads(ours[name].__func__), get_overloads(theirs[name].__func__), strict=True)
            assert all(parameters(mine) == parameters(yours) for mine, yours in overloads), f"{path}.{name}"


def test_metrics_stand_on_both_faces_with_the_same_parameters(blocking: Pareta, asynchronous: AsyncPareta) -> None:
    ours, theirs = methods_of(blocking.endpoints.metrics("ep")), methods_of(asynchronous.endpoints.metrics("ep"))
    assert ours.keys() == theirs.keys() == {"performance", "uptime", "cost", "quality", "activity"}
    assert all(parameters(ours[name]) == parameters(theirs[name]) for name in ours)


def test_the_clients_themselves_have_the_same_methods() -> None:
    ours = {LIFECYCLE.get(name, name) for name in vars(Pareta) if inspect.isroutine(getattr(Pareta, name))}
    theirs = {name for name in vars(AsyncPareta) if inspect.isroutine(getattr(AsyncPareta, name))}
    assert ours == theirs


def test_the_clients_are_made_with_the_same_keywords() -> None:
    ours, theirs = parameters(Pareta), parameters(AsyncPareta)
    assert [(one.name, one.kind, one.default) for one in ours] == [(one.name, one.kind, one.default) for one in theirs]


def test_every_method_that_asks_the_service_is_awaited_on_the_asynchronous_face(asynchronous: AsyncPareta) -> None:
    without_io = {"metrics"}
    for path, part in parts_of(asynchronous):
        for name, method in methods_of(part).items():
            assert inspect.iscoroutinefunction(method) == (name not in without_io), f"{path}.{name}"
