"""HTML pages: the status of the sandbox, and its routes."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route as Path

from pareta_sandbox.faults.injection import Active
from pareta_sandbox.faults.kinds import FaultScope
from pareta_sandbox.faults.scenario import library
from pareta_sandbox.http import openapi
from pareta_sandbox.http.access import NO_FRAMES
from pareta_sandbox.http.body import answer
from pareta_sandbox.service import Service
from pareta_sandbox.state.journal import Entry
from pareta_sandbox.state.money import dollars

ERRORS_READ = 200
ERRORS_SHOWN = 8

ALWAYS_SHOWN = {"status", "when"}
SWITCHES: dict[str, dict[str, object]] = {
    "10 % get 500": {"kind": "status", "status": 500, "share": 0.1},
    "provider down for 10 s": {"kind": "status", "status": 503, "for_s": 10},
    "5 requests/s": {"kind": "rate_limit", "per_s": 5, "burst": 5},
    "4 at once": {"kind": "rate_limit", "concurrent": 4},
    "2 s slower": {"kind": "latency", "ms": 2000, "sigma": 0.5},
    "10 % dropped before the work": {"kind": "drop", "when": "before", "share": 0.1},
    "10 % dropped after the debit": {"kind": "drop", "when": "after", "share": 0.1},
    "5 % hang": {"kind": "hang", "share": 0.05},
    "5 % half a JSON": {"kind": "truncated_json", "share": 0.05},
    "5 % HTML": {"kind": "html", "share": 0.05},
    "endpoints stop after 20": {"kind": "endpoint_stops", "after_completions": 20, "times": None},
    "next eval run fails": {"kind": "eval_run_fails", "times": 1},
    "next deploy fails": {"kind": "deploy_fails", "times": 1},
}


class Pages:
    """Handlers of the pages."""

    def __init__(self, service: Service, described: Iterable[Path]) -> None:
        self._service = service
        self._described = [*described, *self.paths()]
        self._templates = Environment(
            loader=PackageLoader("pareta_sandbox.http"), autoescape=True, undefined=StrictUndefined
        )
        self._templates.filters |= {"dollars": dollars, "thousands": "{:,}".format}

    def paths(self) -> list[Path]:
        """Return the route table."""
        return [
            Path("/", self.status, methods=["GET"]),
            Path("/docs", self.docs, methods=["GET"]),
            Path("/openapi.json", self.openapi, methods=["GET"]),
        ]

    async def status(self, request: Request) -> Response:
        """Show endpoints, books, recent errors and faults; `?part=main` returns only the part that changes."""
        name = "main.html" if request.query_params.get("part") == "main" else "status.html"
        return self._page(name, self._context())

    async def docs(self, request: Request) -> Response:
        """Show the routes."""
        return self._page("routes.html", openapi.document(self._described))

    async def openapi(self, request: Request) -> Response:
        """Return the OpenAPI document."""
        return answer(openapi.document(self._described))

    def _page(self, template: str, content: Mapping[str, object]) -> Response:
        return HTMLResponse(self._templates.get_template(template).render(content), headers=NO_FRAMES)

    def _context(self) -> dict[str, object]:
        return {
            "base_url": self._service.base_url,
            "books": self._service.books.snapshot(debits=False),
            "total": self._service.books.requests.total(),
            "endpoints": self._service.endpoints.all(),
            "faults": [fault_row(active, time.monotonic()) for active in self._service.faults.all()],
            "errors": grouped_errors(self._service.journal.latest("error", ERRORS_READ))[:ERRORS_SHOWN],
            "library": library(),
            "switches": SWITCHES,
        }


def fault_row(active: Active, now: float) -> dict[str, object]:
    """Return the effect, the scope and the counters of an active fault, for the page."""
    fault = active.fault
    own = fault.model_dump(exclude_none=True, exclude={"kind", "detail", *FaultScope.model_fields})
    defaults = {name for name, field in type(fault).model_fields.items() if own.get(name) == field.default}
    shown = {name: value for name, value in own.items() if name not in defaults or name in ALWAYS_SHOWN}
    return {
        "id": active.id,
        "kind": fault.kind.replace("_", " "),
        "what": ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in shown.items()).removeprefix("status "),
        "where": ", ".join(_scope(active, now)),
        "hits": active.refused if fault.kind == "rate_limit" else active.hits,
        "seen": active.seen,
    }


def _scope(active: Active, now: float) -> Iterator[str]:
    fault, begins = active.fault, active.since + active.fault.after_s
    share = "all" if fault.share == 1 else f"{100 * fault.share:.3g} % of"
    yield f"{share} requests to {fault.endpoint or fault.route.replace('_', ' ')}"
    if fault.times is not None:
        yield f"at most {fault.times - active.hits} more"
    if now < begins:
        yield f"from {begins - now:.0f} s on"
    if fault.for_s is not None:
        yield f"for {min(fault.for_s, begins + fault.for_s - now):.0f} s"


def grouped_errors(newest_first: list[Entry]) -> list[dict[str, object]]:
    """Group errors by kind and route, each group with the time and the request id of its latest error."""
    counts = Counter((entry.detail, entry.subject) for entry in newest_first)
    last = {(entry.detail, entry.subject): entry for entry in reversed(newest_first)}
    return [
        {
            "at": time.strftime("%H:%M:%S", time.localtime(last[what].at)),
            "what": _phrase(what[0] or ""),
            "route": what[1],
            "count": count,
            "request_id": last[what].request_id,
        }
        for what, count in counts.items()
    ]


def _phrase(detail: str) -> str:
    try:
        return f"{detail} {HTTPStatus(int(detail)).phrase}"
    except ValueError:
        return detail
