"""The pages for people: the status of the sandbox, and its routes."""

import time
from collections.abc import Iterable

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route as Path

from pareta_sandbox import openapi
from pareta_sandbox.border import answer
from pareta_sandbox.money import dollars
from pareta_sandbox.scenario import named, names
from pareta_sandbox.service import Service

ERRORS_SHOWN = 12


class Pages:
    """The handlers of the pages."""

    def __init__(self, service: Service, described: Iterable[Path]) -> None:
        self._service = service
        self._described = [*described, *self.paths()]
        self._library = {name: named(name).teaches.strip() for name in names()}
        self._templates = Environment(
            loader=PackageLoader("pareta_sandbox", "templates"), autoescape=True, undefined=StrictUndefined
        )
        self._templates.filters["dollars"] = dollars

    def paths(self) -> list[Path]:
        """Return the route table."""
        return [
            Path("/", self.status, methods=["GET"]),
            Path("/docs", self.docs, methods=["GET"]),
            Path("/openapi.json", self.openapi, methods=["GET"]),
        ]

    async def status(self, request: Request) -> Response:
        """Show the endpoints, the books, recent errors and the faults; `?part=main` gives the changing part alone."""
        name = "main.html" if request.query_params.get("part") == "main" else "status.html"
        return HTMLResponse(self._templates.get_template(name).render(self._seen()))

    async def docs(self, request: Request) -> Response:
        """Show the routes."""
        return HTMLResponse(openapi.page(openapi.document(self._described)))

    async def openapi(self, request: Request) -> Response:
        """Return the OpenAPI document."""
        return answer(openapi.document(self._described))

    def _seen(self) -> dict[str, object]:
        recent = self._service.journal.latest("error", ERRORS_SHOWN)
        return {
            "base_url": self._service.base_url,
            "settings": self._service.settings,
            "books": self._service.books.snapshot(debits=False),
            "total": self._service.books.requests.total(),
            "endpoints": self._service.endpoints.all(),
            "faults": self._service.faults.all(),
            "errors": [(time.strftime("%H:%M:%S", time.localtime(entry.at)), entry) for entry in recent],
            "library": self._library,
        }
