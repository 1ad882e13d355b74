"""The ASGI application: number each request, check its key, let faults have their say, hand it on, answer errors."""

import logging
import re
import secrets
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from pareta_sandbox.faults.effects import apply_before
from pareta_sandbox.faults.kinds import Route
from pareta_sandbox.http.body import REQUEST_ID, STRUCK
from pareta_sandbox.http.errors import ClientGone, Refusal, unauthorized
from pareta_sandbox.http.exchange import HttpExchange
from pareta_sandbox.http.pages import Pages
from pareta_sandbox.http.visitors import Visitors
from pareta_sandbox.routes.catalogue import Routes
from pareta_sandbox.routes.chat import Chat
from pareta_sandbox.routes.control import Control
from pareta_sandbox.routes.evals import EvalRoutes
from pareta_sandbox.service import Service

CHAT = "/v1/chat/completions"
READ_ONLY = "pareta_sk_readonly"
IDS = re.compile(r"/(endpoints|eval-sets|eval-runs|tasks)/(?!(?:match|propose-contract)(?:/|$))[^/]+")
FAULT_ROUTES: dict[str, Route] = {
    "models": "models",
    "endpoints": "endpoints",
    "tasks": "tasks",
    "eval-sets": "eval_sets",
    "eval-runs": "eval_runs",
}
log = logging.getLogger("pareta_sandbox")


class App:
    """The service as an ASGI application."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._chat = Chat(service)
        paths = [*Routes(service).paths(), *EvalRoutes(service).paths(), *Control(service).paths()]
        self._others = Router([*paths, *Pages(service, paths).paths()], redirect_slashes=False)
        self._visitors = Visitors(service.settings.host, service.settings.allow_hosts)
        self._prefix = f"req_{secrets.token_hex(4)}"
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._requests += 1
        call = HttpExchange(scope, receive, send, f"{self._prefix}{self._requests:08x}")
        try:
            await self._hand_on(call)
        except (ClientGone, ClientDisconnect):
            if not call.finished:
                self.service.books.dropped(f"{call.method} {template(call.path)}", call.request_id)
        except Refusal as refusal:
            await self._refuse(call, refusal)
        except HTTPException as problem:
            await self._refuse(call, Refusal(problem.status_code, problem.detail, problem.headers))
        except Exception:
            log.exception("%s %s broke the sandbox", call.method, call.path)
            await self._refuse(call, Refusal(500, "Internal Server Error"))

    async def _hand_on(self, call: HttpExchange) -> None:
        self._visitors.check(call)
        if not call.path.startswith("/v1/"):
            await self._route(call)
            return
        route = f"{call.method} {template(call.path)}"
        self.service.books.asked(route, call.header(b"idempotency-key"), call.request_id)
        call.on_status = partial(self.service.books.answered, route, request_id=call.request_id)
        call.api_key = self._checked_key(call)
        if call.path == CHAT and call.method == "POST":
            await self._chat(call)
            return
        if self.service.faults:
            active_faults = self.service.faults.strike(fault_route(call), self._endpoint_in(call.path), 0)
            call.scope[STRUCK] = active_faults
            await apply_before(call, active_faults, self.service.draws)
        await self._route(call)

    def _endpoint_in(self, path: str) -> str | None:
        parts = path.split("/")
        is_named = len(parts) > 3 and parts[2] == "endpoints"
        return self.service.endpoints.id_of(parts[3]) if is_named else None

    async def _route(self, call: HttpExchange) -> None:
        # With an application in scope, starlette raises its 404 and 405 instead of answering in plain text.
        call.scope["app"] = self
        call.scope[REQUEST_ID] = call.request_id
        await self._others(call.scope, call.receive, call.send)

    def _checked_key(self, call: HttpExchange) -> str:
        scheme, _, key = (call.header(b"authorization") or "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise unauthorized("Missing API key: send 'Authorization: Bearer pareta_sk_…'.")
        known = self.service.settings.keys
        if key not in known if known else not key.startswith("pareta_sk_"):
            raise unauthorized("Invalid or revoked API key.")
        if key.startswith(READ_ONLY) and call.method not in ("GET", "HEAD"):
            raise Refusal(403, "This API key may only read.")
        return key

    async def _refuse(self, call: HttpExchange, refusal: Refusal) -> None:
        try:
            if call.started:
                await call.drop()  # half an answer cannot be mended
            await call.refuse(refusal)
        except ClientGone:
            pass


def template(path: str) -> str:
    """Return a path with its ids replaced, so that it can be counted."""
    return path if path == CHAT else IDS.sub(r"/\1/{id}", path)[:120]


def fault_route(call: HttpExchange) -> Route:
    """Return the name by which faults know a request's route."""
    if call.method == "POST" and call.path == "/v1/endpoints":
        return "deploy"
    return FAULT_ROUTES.get(call.path.split("/")[2], "any")
