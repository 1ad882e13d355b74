"""Upstream: forwards completions to an OpenAI-compatible server; the sandbox keeps the books."""

import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace

import httpx

from pareta_sandbox.http.errors import Refusal
from pareta_sandbox.state import money
from pareta_sandbox.state.completion import Choices, Completion
from pareta_sandbox.state.work import CompletionPlan

# Maximum billed tokens of a request without a limit of its own; more holds more of the balance.
DEFAULT_MAX_TOKENS = 4_096
TIMEOUT = httpx.Timeout(600, connect=10)


class Upstream:
    """An OpenAI-compatible server, such as vLLM, Ollama or llama.cpp."""

    def __init__(self, url: str, model: str | None, key: str | None) -> None:
        base = url.rstrip("/")
        self._base = base if base.endswith("/v1") else f"{base}/v1"
        self._model = model
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._client: httpx.AsyncClient | None = None

    def work(self, plan: CompletionPlan, sent: bytes) -> "Forwarded":
        """Return the work of a completion that the upstream answers."""
        return Forwarded(plan, sent, self)

    async def body(self, sent: bytes, plan: CompletionPlan) -> dict[str, object]:
        """Build the forwarded request: the original one with the upstream's model and the injected prompt."""
        body: dict[str, object] = json.loads(sent)
        body["model"] = await self.model()
        if plan.system and not plan.request.has_system:
            messages = body["messages"]
            assert isinstance(messages, list)
            body["messages"] = [{"role": "system", "content": plan.system}, *messages]
        if plan.request.stream:
            body["stream_options"] = {"include_usage": True}
        return body

    async def model(self) -> str:
        """Return the configured model, else the first in the list of the upstream."""
        if self._model is None:
            listed = (await self.send("GET", "/models", None)).json()
            try:
                self._model = str(listed["data"][0]["id"])
            except (LookupError, TypeError) as error:
                raise Refusal(503, "the upstream lists no model; choose one with --upstream-model") from error
        return self._model

    async def send(self, method: str, path: str, body: Mapping[str, object] | None) -> httpx.Response:
        """Send a request and read the whole reply; raises Refusal if it is not a success."""
        try:
            reply = await self.client.request(method, self._base + path, json=body)
        except httpx.HTTPError as error:
            raise _down(error) from error
        _check(reply)
        return reply

    async def events(self, body: Mapping[str, object]) -> AsyncGenerator[dict[str, object], None]:
        """Stream the chunks of a completion; raises Refusal if it fails or ends without `[DONE]`."""
        try:
            async with self.client.stream("POST", f"{self._base}/chat/completions", json=body) as reply:
                if not reply.is_success:
                    await reply.aread()
                _check(reply)
                async for line in reply.aiter_lines():
                    data = line.removeprefix("data:").strip()
                    if not line.startswith("data:"):
                        continue
                    if data == "[DONE]":
                        return
                    yield json.loads(data)
        except (httpx.HTTPError, ValueError) as error:
            raise _down(error) from error
        raise Refusal(503, "the provider broke off the stream")

    @property
    def client(self) -> httpx.AsyncClient:
        """HTTP client of the upstream, created on the event loop that uses it."""
        if self._client is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
            self._client = httpx.AsyncClient(headers=self._headers, timeout=TIMEOUT, limits=limits)
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()


class Forwarded:
    """A completion that the upstream answers."""

    def __init__(self, plan: CompletionPlan, sent: bytes, upstream: Upstream) -> None:
        request = plan.request
        allowed = (request.max_completion_tokens or request.max_tokens or DEFAULT_MAX_TOKENS) * request.n
        self._plan = plan
        self._sent = sent
        self._upstream = upstream
        self.head = plan.head
        self.max_price = plan.price(plan.prompt_tokens, allowed)

    async def whole(self) -> Completion:
        """Send the request to the upstream and wait for the answer."""
        begun = time.monotonic()
        body = await self._upstream.body(self._sent, self._plan)
        reply = await self._upstream.send("POST", "/chat/completions", body)
        try:
            answer = reply.json()
            choices = answer["choices"]
            text = choices[0]["message"].get("content") or ""
            finish = str(choices[0].get("finish_reason") or "stop")
            done = self._completion(text, finish, answer.get("usage"), begun)
            return replace(done, choices=json.dumps(choices))
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise Refusal(502, "the upstream's answer is not a chat completion") from error

    async def stream(self) -> AsyncGenerator[Choices | Completion, None]:
        """Stream the chunks of the upstream, and yield the completion last."""
        begun = time.monotonic()
        text, finish, usage = "", "stop", None
        body = await self._upstream.body(self._sent, self._plan)
        async with aclosing(self._upstream.events(body)) as events:
            async for event in events:
                usage = event.get("usage") or usage
                choices = event.get("choices")
                if not isinstance(choices, list) or not choices:
                    continue
                text += str((choices[0].get("delta") or {}).get("content") or "")
                finish = str(choices[0].get("finish_reason") or finish)
                yield choices
        yield self._completion(text, finish, usage, begun)

    def _completion(self, text: str, finish: str, usage: object, begun: float) -> Completion:
        counted = usage if isinstance(usage, dict) else {}
        tokens = int(counted.get("completion_tokens") or money.tokens(text))
        prompt_tokens = int(counted.get("prompt_tokens") or self._plan.prompt_tokens)
        plan = replace(self._plan, prompt_tokens=prompt_tokens)
        done = plan.completion(text, finish, tokens, (time.monotonic() - begun) * 1000)
        return replace(done, price=min(done.price, self.max_price))


def _down(error: Exception) -> Refusal:
    return Refusal(503, f"the provider is down: {type(error).__name__}")


def _check(reply: httpx.Response) -> None:
    match reply.status_code:
        case status if status < 400:
            return
        case 429:
            wait = reply.headers.get("retry-after")
            raise Refusal(429, "the provider limits the rate", {"retry-after": wait} if wait else {})
        case 400 | 413 | 422:
            raise Refusal(400, f"the provider refuses this request: {reply.text[:500]}")
        case status:
            raise Refusal(503, f"the provider answered {status}")
