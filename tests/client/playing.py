"""Plays an operation against a list of happenings: the third driver, for tests of what is decided."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import httpx

from pareta_client.core.request import Request
from pareta_client.core.steps import Emit, Failed, Happened, Moment, Read, ReadClock, Received, Reply, Send, Sleep, Step
from pareta_client.errors import APIConnectionError, ParetaError
from pareta_client.secret import Secret
from pareta_client.settings import Options, Settings

KEY = "pareta_sk_only_for_tests"
T = TypeVar("T")


def settings(*, jitter: float = 0.0, key: str = "key-1", **options: Any) -> Settings:
    """Settings with no chance in them."""
    return Settings("http://localhost", Secret(KEY), Options(**options), jitter=lambda: jitter, new_key=lambda: key)


def reply(status: int = 200, body: bytes = b"{}", **headers: str | bytes) -> Reply:
    """An answer; header names are given with underscores."""
    raw = [
        (name.replace("_", "-").encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in headers.items()
    ]
    return Reply(status, raw, body)


def request_to(url: str, content: bytes, timeout: httpx.Timeout) -> Request:
    """A request to any server, as the fast channel gets it."""
    headers = (("Host", httpx.URL(url).netloc.decode()), ("Content-Length", str(len(content))))
    return Request("POST", url, headers, content, timeout.as_dict())


def failed(error: APIConnectionError | None = None) -> Failed:
    """A request of which nothing came back."""
    return Failed(error or APIConnectionError("dropped"))


@dataclass
class Played(Generic[T]):
    """What an operation asked for, and how it ended."""

    steps: list[Step] = field(default_factory=list)
    result: T | None = None
    error: ParetaError | None = None
    now: float = 0.0

    @property
    def sends(self) -> list[Send]:
        return [step for step in self.steps if isinstance(step, Send)]

    @property
    def requests(self) -> list[httpx.Request]:
        """The requests as they would go out, with the key."""
        return [step.request.as_httpx() for step in self.sends]

    @property
    def sleeps(self) -> list[Sleep]:
        return [step for step in self.steps if isinstance(step, Sleep)]

    @property
    def emitted(self) -> list[Any]:
        return [step.value for step in self.steps if isinstance(step, Emit)]


def play(
    operation: Generator[Step, Happened, T],
    happenings: Iterable[Reply | Failed | Received],
    *,
    seconds_each: float = 0.0,
) -> Played[T]:
    """Run an operation against a script of events: each send or read takes the next one.

    A sleep advances the clock, and each send advances it by `seconds_each`.
    """
    played: Played[T] = Played()
    coming = iter(happenings)
    happened: Happened = None
    try:
        while True:
            step = operation.send(happened)
            played.steps.append(step)
            happened = _meet(step, played, coming, seconds_each)
    except StopIteration as end:
        played.result = end.value
    except ParetaError as error:
        played.error = error
    return played


def _meet(step: Step, played: Played[T], coming: Any, seconds_each: float) -> Happened:
    match step:
        case Send():
            played.now += seconds_each
            came = next(coming)
            if isinstance(came, Reply):
                return Reply(came.status, came.headers, came.body, at=played.now, wall=came.wall)
            return Failed(came.error, at=played.now, headers=came.headers)
        case Read():
            came = next(coming)
            assert isinstance(came, Received | Failed)
            return came
        case Sleep(seconds):
            played.now += seconds
            return Moment(played.now)
        case ReadClock():
            return Moment(played.now)
        case Emit():
            return None
