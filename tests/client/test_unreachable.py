"""A base URL where nothing answers: said at once, with the place and the reason, and known as never sent."""

import asyncio
import pickle
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pareta_client import APIConnectionError, APITimeoutError, AsyncPareta, Pareta
from tests.client.playing import KEY
from tests.client.servers import Conversation, serving
from tests.ports import closed_port

MESSAGES = [{"role": "user", "content": "hello"}]


def blocking(url: str, timeout: float = 5.0) -> APIConnectionError:
    with Pareta(api_key=KEY, base_url=url, max_retries=0, timeout=timeout) as client:
        with pytest.raises(APIConnectionError) as caught:
            client.chat.completions.create(model="ep_1", messages=MESSAGES)
        return caught.value


def asynchronous(url: str, timeout: float = 5.0) -> APIConnectionError:
    async def ask() -> APIConnectionError:
        async with AsyncPareta(api_key=KEY, base_url=url, max_retries=0, timeout=timeout) as client:
            with pytest.raises(APIConnectionError) as caught:
                await client.chat.completions.create(model="ep_1", messages=MESSAGES)
            return caught.value

    return asyncio.run(ask())


def streaming(url: str, timeout: float = 5.0) -> APIConnectionError:
    with Pareta(api_key=KEY, base_url=url, max_retries=0, timeout=timeout) as client:
        with pytest.raises(APIConnectionError) as caught:
            next(client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True))
        return caught.value


Request = Callable[..., APIConnectionError]
ways = pytest.mark.parametrize("ask", [blocking, asynchronous, streaming])


def says(error: APIConnectionError, place: str, *reasons: str) -> None:
    assert error.unreachable
    assert error.never_sent
    assert f"no connection to {place}: " in str(error)
    assert any(reason in str(error) for reason in reasons), str(error)
    assert str(error).endswith("(never sent); check base_url and the network")
    assert pickle.loads(pickle.dumps(error)).unreachable


@ways
def test_a_refused_connection_names_the_place_and_the_reason(ask: Request) -> None:
    with closed_port() as port:
        says(ask(f"http://127.0.0.1:{port}/deep"), f"http://127.0.0.1:{port}", "Connection refused")


@ways
@pytest.mark.filterwarnings("ignore::pareta_client.InsecureTransportWarning")
def test_an_unknown_host_names_the_place_and_the_reason(ask: Request) -> None:
    reasons = ("Name or service not known", "Temporary failure", "No address", "nodename")
    says(ask("http://no-such-host.invalid"), "http://no-such-host.invalid:80", *reasons)


@ways
def test_a_failed_tls_handshake_names_the_place_and_the_reason(ask: Request) -> None:
    with serving(lambda conversation: conversation.send(b"not TLS\r\n")) as server:
        url = server.url.replace("http:", "https:")
        says(ask(url), url, "SSL")


@contextmanager
def never_accepting() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        try:
            yield f"http://127.0.0.1:{address[1]}"
        finally:
            for filler in fillers:
                filler.close()


@ways
def test_a_host_that_never_answers_is_known_as_such_within_a_short_timeout(ask: Request) -> None:
    with never_accepting() as url:
        error = ask(url, timeout=0.5)
    assert isinstance(error, APITimeoutError)
    says(error, url, "ConnectTimeout")


async def test_it_is_known_as_such_also_on_a_loop_too_busy_to_keep_its_times() -> None:
    with never_accepting() as url:
        async with AsyncPareta(api_key=KEY, base_url=url, max_retries=0, timeout=0.5) as client:
            # Both bounds, on connecting and on the whole attempt, have run out when the loop goes on.
            asyncio.get_running_loop().call_later(0.3, time.sleep, 0.5)
            with pytest.raises(APIConnectionError) as caught:
                await client.chat.completions.create(model="ep_1", messages=MESSAGES)
    says(caught.value, url, "ConnectTimeout")


@ways
def test_what_breaks_later_is_not_unreachable(ask: Request) -> None:
    def leaving(conversation: Conversation) -> None:
        conversation.read_request()

    with serving(leaving) as server:
        error = ask(server.url)
    assert not error.unreachable
    assert not error.never_sent
