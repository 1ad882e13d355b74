"""The API key goes into one header and nowhere else."""

import logging
import pickle
import traceback
import warnings

import httpx
import pytest

from pareta_client import APIConnectionError, AsyncPareta, InsecureTransportWarning, Pareta, ParetaError
from pareta_client.core.call import post, request_for
from tests.client.playing import KEY, settings
from tests.client.servers import Conversation, answering, serving

MESSAGES = [{"role": "user", "content": "hello"}]


def test_no_repr_shows_the_key() -> None:
    client = AsyncPareta(api_key=KEY, base_url="http://localhost")
    shown = [client, client._settings, client.chat, vars(client.chat), vars(client._settings)]
    request = request_for(post("/v1/x", "k"), settings(), None)
    shown += [request, request.headers, request.as_httpx().headers]
    assert KEY not in "".join(repr(thing) for thing in shown)
    assert client.api_key == KEY
    assert request.as_httpx().headers["authorization"] == f"Bearer {KEY}"


def test_a_client_does_not_pickle_and_says_what_to_do() -> None:
    with pytest.raises(TypeError, match="from_env"):
        pickle.dumps(Pareta(api_key=KEY, base_url="http://localhost"))
    with pytest.raises(TypeError, match="key is not pickled"):
        pickle.dumps(settings().secret)


def test_no_error_traceback_or_log_shows_the_key(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.DEBUG, logger="pareta_client"),
        serving(lambda conversation: None) as server,
        Pareta(api_key=KEY, base_url=server.url, max_retries=1) as client,
        pytest.raises(APIConnectionError) as caught,
    ):
        client.chat.completions.create(model="ep_1", messages=MESSAGES)
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in frames.stack if "pareta_client" in frame.filename]
    assert ours
    assert KEY not in str([frame.locals for frame in ours])
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert KEY.encode() not in pickle.dumps(caught.value)
    assert "attempt=2" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("follow_redirects", [True, False])
def test_a_redirect_does_not_carry_the_key_to_another_host(follow_redirects: bool) -> None:
    with serving(answering()) as elsewhere:

        def redirect(conversation: Conversation) -> None:
            conversation.read_request()
            location = elsewhere.url.replace("127.0.0.1", "localhost").encode()
            conversation.send(b"HTTP/1.1 307 Moved\r\ncontent-length: 0\r\nlocation: %s\r\n\r\n" % location)

        with serving(redirect) as server, httpx.Client(follow_redirects=follow_redirects) as http_client:
            client = Pareta(api_key=KEY, base_url=server.url, http_client=http_client)
            if follow_redirects:
                client.chat.completions.create(model="ep_1", messages=MESSAGES)
            else:
                with pytest.raises(ParetaError, match="redirected"):
                    client.chat.completions.create(model="ep_1", messages=MESSAGES)
            assert KEY.encode() in server.requests[0]
        assert len(elsewhere.requests) == follow_redirects
        assert KEY.encode() not in b"".join(elsewhere.requests)


async def test_a_redirect_does_not_carry_the_key_to_another_host_on_the_asynchronous_face_either() -> None:
    with serving(answering()) as elsewhere:

        def redirect(conversation: Conversation) -> None:
            while conversation.read_request():
                location = elsewhere.url.encode()  # another port is another origin
                conversation.send(b"HTTP/1.1 308 Moved\r\ncontent-length: 0\r\nlocation: %s\r\n\r\n" % location)

        with serving(redirect) as server:
            async with httpx.AsyncClient(follow_redirects=True) as http_client:
                client = AsyncPareta(api_key=KEY, base_url=server.url, http_client=http_client)
                await client.chat.completions.create(model="ep_1", messages=MESSAGES)
                stream = await client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True)
                with pytest.raises(ParetaError, match="not an event stream"):
                    await anext(stream)
            assert [KEY.encode() in request for request in server.requests] == [True, True]
        assert [KEY.encode() in request for request in elsewhere.requests] == [False, False]


async def test_our_own_clients_follow_no_redirect() -> None:
    def redirect(conversation: Conversation) -> None:
        while conversation.read_request():
            conversation.send(b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: /elsewhere\r\n\r\n")

    with serving(redirect) as server:
        async with AsyncPareta(api_key=KEY, base_url=server.url) as client:
            with pytest.raises(ParetaError, match="redirected to '/elsewhere'"):
                await client.models.list()
        with Pareta(api_key=KEY, base_url=server.url) as blocking, pytest.raises(ParetaError, match="redirected"):
            blocking.models.list()
        assert len(server.requests) == 2


@pytest.mark.parametrize("url", ["http://api.example.com", "http://10.0.0.7:8000", "http://localhost.example.com"])
def test_plain_http_to_another_machine_warns(url: str) -> None:
    with pytest.warns(InsecureTransportWarning, match="unencrypted") as caught:
        AsyncPareta(api_key=KEY, base_url=url)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "url",
    ["https://api.example.com", "http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9", "http://x.localhost"],
)
def test_tls_or_this_machine_does_not_warn(url: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Pareta(api_key=KEY, base_url=url)


@pytest.mark.parametrize("url", ["api.pareta.ai", "ftp://x", "http://", "https://[::1"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ParetaError, match="base_url"):
        Pareta(api_key=KEY, base_url=url)


@pytest.mark.parametrize(
    "url", ["https://user:hidden@x", "http://hidden@x:9/v1", "ftp://user:hidden@x", "//u:hidden@[::1"]
)
def test_an_address_with_credentials_is_refused_without_showing_them(url: str) -> None:
    with pytest.raises(ParetaError, match="user name or a password") as caught:
        AsyncPareta(api_key=KEY, base_url=url)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("key", ["", None, "pareta_sk_x\n", "pareta sk", "pareta_sk_ключ"])
def test_a_key_that_could_never_work_is_refused_before_any_request(key: str | None) -> None:
    with pytest.raises(ParetaError, match="API key") as caught:
        Pareta(api_key=key)
    assert not key or key.strip() not in str(caught.value)
