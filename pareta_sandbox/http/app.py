"""ASGI application: request ids, API keys, faults, routing and error replies."""

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
from pareta_sandbox.http.access import AccessRules
from pareta_sandbox.http.body import ACTIVE_FAULTS, REQUEST_ID
from pareta_sandbox.http.errors import ClientGone, Refusal, unauthorized
from pareta_sandbox.http.exchange import HttpExchange
from pareta_sandbox.http.pages import Pages
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
        self._access_rules = AccessRules(service.settings.host, service.settings.allow_hosts)
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
        exchange = HttpExchange(scope, receive, send, f"{self._prefix}{self._requests:08x}")
        try:
            await self._dispatch(exchange)
        except (ClientGone, ClientDisconnect):
            if not exchange.finished:
                self.service.books.record_drop(f"{exchange.method} {template(exchange.path)}", exchange.request_id)
        except Refusal as refusal:
            await self._refuse(exchange, refusal)
        except HTTPException as error:
            await self._refuse(exchange, Refusal(error.status_code, error.detail, error.headers))
        except Exception:
            log.exception("internal error in %s %s", exchange.method, exchange.path)
            await self._refuse(exchange, Refusal(500, "Internal Server Error"))

    async def _dispatch(self, exchange: HttpExchange) -> None:
        self._access_rules.check(exchange)
        if not exchange.path.startswith("/v1/"):
            await self._route(exchange)
            return
        route = f"{exchange.method} {template(exchange.path)}"
        self.service.books.record_request(route, exchange.header(b"idempotency-key"), exchange.request_id)
        exchange.on_status = partial(self.service.books.record_answer, route, request_id=exchange.request_id)
        exchange.api_key = self._checked_key(exchange)
        if exchange.path == CHAT and exchange.method == "POST":
            await self._chat(exchange)
            return
        if self.service.faults:
            faults = self.service.faults.select(fault_route(exchange), self._endpoint_in(exchange.path), 0)
            exchange.scope[ACTIVE_FAULTS] = faults
            await apply_before(exchange, faults, self.service.draws)
        await self._route(exchange)

    def _endpoint_in(self, path: str) -> str | None:
        parts = path.split("/")
        is_named = len(parts) > 3 and parts[2] == "endpoints"
        return self.service.endpoints.id_of(parts[3]) if is_named else None

    async def _route(self, exchange: HttpExchange) -> None:
        # With an application in scope, starlette raises 404 and 405 instead of sending plain text.
        exchange.scope["app"] = self
        exchange.scope[REQUEST_ID] = exchange.request_id
        await self._others(exchange.scope, exchange.receive, exchange.send)

    def _checked_key(self, exchange: HttpExchange) -> str:
        scheme, _, key = (exchange.header(b"authorization") or "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise unauthorized("Missing API key: send 'Authorization: Bearer pareta_sk_…'.")
        known = self.service.settings.keys
        if key not in known if known else not key.startswith("pareta_sk_"):
            raise unauthorized("Invalid or revoked API key.")
        if key.startswith(READ_ONLY) and exchange.method not in ("GET", "HEAD"):
            raise Refusal(403, "This API key may only read.")
        return key

    async def _refuse(self, exchange: HttpExchange, refusal: Refusal) -> None:
        try:
            if exchange.started:
                await exchange.drop()  # a reply that has begun cannot change its status
            await exchange.refuse(refusal)
        except ClientGone:
            pass


def template(path: str) -> str:
    """Return a path with its ids replaced by `{id}`, so that requests are counted by route."""
    return path if path == CHAT else IDS.sub(r"/\1/{id}", path)[:120]


def fault_route(exchange: HttpExchange) -> Route:
    """Return the fault route of a request, as in `FaultScope.route`."""
    if exchange.method == "POST" and exchange.path == "/v1/endpoints":
        return "deploy"
    return FAULT_ROUTES.get(exchange.path.split("/")[2], "any")
