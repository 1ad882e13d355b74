"""An http_client of the caller's own, with a transport in memory or hooks that read the answer first."""

import gzip

import httpx
import pytest

from pareta_client import APIStatusError, AsyncPareta, OversizedReplyError, Pareta
from tests.client.playing import KEY
from tests.client.servers import COMPLETION

MESSAGES = [{"role": "user", "content": "hello"}]
STREAM = b'data: {"choices": [{"delta": {"content": "hello"}}]}\n\ndata: [DONE]\n\n'


def answer(request: httpx.Request) -> httpx.Response:
    if b'"refuse"' in request.content:
        return httpx.Response(500, json={"detail": "no"})
    body = STREAM if b'"stream":true' in request.content else COMPLETION
    return httpx.Response(200, content=gzip.compress(body), headers={"content-encoding": "gzip"})


@pytest.mark.parametrize("hooks", [[], [lambda response: response.read()]])
def test_a_blocking_client_of_the_callers_is_read(hooks: list[object]) -> None:
    with httpx.Client(transport=httpx.MockTransport(answer), event_hooks={"response": hooks}) as http_client:  # type: ignore[dict-item]
        client = Pareta(api_key=KEY, base_url="http://localhost", http_client=http_client, max_retries=0)
        assert client.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content == "hello"
        assert len(list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))) == 1
        with pytest.raises(APIStatusError, match="no"):
            client.chat.completions.create(model="refuse", messages=MESSAGES)
        with pytest.raises(OversizedReplyError):
            client.with_options(max_reply_bytes=10).chat.completions.create(model="m", messages=MESSAGES)


async def test_an_asynchronous_client_of_the_callers_is_read() -> None:
    async def read(response: httpx.Response) -> None:
        await response.aread()

    for hooks in ([], [read]):
        async with httpx.AsyncClient(
            transport=httpx.MockTransport(answer), event_hooks={"response": hooks}
        ) as http_client:
            client = AsyncPareta(api_key=KEY, base_url="http://localhost", http_client=http_client, max_retries=0)
            completion = await client.chat.completions.create(model="m", messages=MESSAGES)
            assert completion.choices[0].message.content == "hello"
            stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
            assert len([chunk async for chunk in stream]) == 1
            with pytest.raises(APIStatusError, match="no"):
                await client.chat.completions.create(model="refuse", messages=MESSAGES)
            with pytest.raises(OversizedReplyError):
                await client.with_options(max_reply_bytes=10).chat.completions.create(model="m", messages=MESSAGES)
