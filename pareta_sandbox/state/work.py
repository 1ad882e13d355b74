"""The work of a completion: planned first, then done complete or as a stream."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

from pareta_sandbox.http.errors import Refusal
from pareta_sandbox.models import answerers, catalogue
from pareta_sandbox.models.catalogue import TASKS
from pareta_sandbox.models.conforming import conform
from pareta_sandbox.models.roster import BASELINE, MODELS, Model
from pareta_sandbox.routes.chat_reply import reply
from pareta_sandbox.routes.chat_request import ChatRequest
from pareta_sandbox.service import Service
from pareta_sandbox.state import money
from pareta_sandbox.state.completion import Choices, Completion, Head, pieces
from pareta_sandbox.state.endpoints import Endpoint


@dataclass(frozen=True, slots=True)
class CompletionPlan:
    """Endpoint (None for `auto`), model and prompt of a completion, including an injected system prompt."""

    head: Head
    request: ChatRequest
    endpoint: Endpoint | None
    task: str
    model: Model
    system: str
    user: str
    prompt_tokens: int
    price_factor: float = 1.0

    def price(self, prompt_tokens: int, tokens: int) -> int:
        """Return the price of the tokens (micro-USD)."""
        return money.multiply(self.model.rates.price(prompt_tokens, tokens), self.price_factor)

    def completion(self, text: str, finish: str, tokens: int, latency_ms: float) -> Completion:
        """Build a priced completion from an answer."""
        return Completion(
            id=self.head.id,
            created=self.head.created,
            model=self.head.model,
            text=text,
            finish_reason=finish,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=tokens,
            price=self.price(self.prompt_tokens, tokens),
            baseline=BASELINE.rates.price(self.prompt_tokens, tokens),
            latency_ms=latency_ms,
        )


class Local:
    """A completion by the built-in answerers: the answer is immediate, the latency is simulated.

    `max_price` (micro-USD) is held during the work.
    """

    def __init__(self, plan: CompletionPlan, service: Service) -> None:
        level = service.level(plan.model, "chat", plan.endpoint.id if plan.endpoint else None)
        answer = answerers.reply(plan.task, level, plan.system, plan.user)
        if plan.request.complains:
            # Without a complaint the models ignore the schema, so that some answers do not fit.
            answer = conform(answer, plan.request.answer_schema)
        text, finish, choice, written = reply(plan.request, answer, f"{plan.system}\0{plan.user}")
        tokens = money.tokens(written) * plan.request.n
        self._n = plan.request.n
        done = plan.completion(text, finish, tokens, service.latency_ms(plan.model, tokens))
        choices = [{"index": i, **choice} for i in range(self._n)] if choice else None
        self._done = done if choices is None else replace(done, choices=json.dumps(choices))
        self.head = plan.head
        self.max_price = self._done.price

    async def whole(self) -> Completion:
        """Wait for the latency of the model, then return the completion."""
        if self._done.latency_ms:
            await asyncio.sleep(self._done.latency_ms / 1000)
        return self._done

    async def stream(self) -> AsyncGenerator[Choices | Completion, None]:
        """Yield the chunks over the latency of the model."""
        cut = list(pieces(self._done, self._n))
        # Half of the latency precedes the first chunk, as with real models.
        await asyncio.sleep(self._done.latency_ms / 2000)
        for piece in cut:
            yield piece
            if self._done.latency_ms:
                await asyncio.sleep(self._done.latency_ms / 2000 / len(cut))
        yield self._done


async def plan(request: ChatRequest, service: Service) -> CompletionPlan:
    """Resolve endpoint, model and prompt of a request.

    Refuse an unknown endpoint with 404, an endpoint that is not live with 503, and a too long prompt with 400.
    """
    endpoint, task, model = await _resolve(request, service)
    system, user = request.conversation()
    prompt_tokens = sum(message.tokens for message in request.messages)
    injected = None if request.has_system else TASKS[task].system_prompt
    if injected:
        prompt_tokens += money.tokens(injected)
    if not model.fits(prompt_tokens):
        context = f"this model's context holds {model.context_k * 1_000}"
        raise Refusal(400, f"the prompt has {prompt_tokens} tokens; {context}")
    shown = endpoint.id if endpoint else model.id
    head = Head(f"chatcmpl-{service.next_number():012x}", int(time.time()), shown)
    factor = service.faults.price_factor("chat", endpoint.id if endpoint else None)
    return CompletionPlan(head, request, endpoint, task, model, injected or system, user, prompt_tokens, factor)


async def _resolve(request: ChatRequest, service: Service) -> tuple[Endpoint | None, str, Model]:
    if request.model == "auto" and service.settings.generation == 2:
        task = catalogue.route_task("\n".join(request.conversation()))
        return None, task, MODELS[await service.recommended(task)]
    endpoint = service.endpoints.get(request.model)
    if endpoint.state != "live":
        endpoint.failures += 1
        raise Refusal(503, f"endpoint '{endpoint.id}' is {endpoint.state}: start it and wait until it is live")
    return endpoint, endpoint.task.id, endpoint.model
