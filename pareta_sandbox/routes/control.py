"""Control routes under `/_sandbox`: books, balance, settings, faults and scenarios. No API key is needed."""

from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Path

from pareta_sandbox.faults.injection import Active
from pareta_sandbox.faults.kinds import FAULT
from pareta_sandbox.faults.scenario import Scenario, ScenarioError, begin, from_library, library
from pareta_sandbox.http.body import MAX_JSON_BYTES, answer, read_json
from pareta_sandbox.http.errors import Refusal, invalid_body, not_found
from pareta_sandbox.http.exchange import read_body
from pareta_sandbox.service import Service
from pareta_sandbox.settings import Change
from pareta_sandbox.state.journal import Kind


class Amount(BaseModel):
    """An amount of money."""

    micro_usd: int = Field(ge=-(10**15), le=10**15)


class Begin(BaseModel):
    """Body of a scenario start: a name of the library, or a complete scenario."""

    name: str = Field(min_length=1, max_length=200)
    scenario: Scenario | None = None


class Page(BaseModel):
    """Query of the journal: a kind, the last known entry, a maximum number of entries."""

    kind: Kind | None = None
    after: int = Field(0, ge=0)
    limit: int = Field(1000, ge=1, le=100_000)


class Control:
    """Handlers of `/_sandbox`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def paths(self) -> list[Path]:
        """Return the route table."""
        return [
            Path("/_sandbox/books", self.books),
            Path("/_sandbox/journal", self.journal),
            Path("/_sandbox/top-up", self.top_up, methods=["POST"]),
            Path("/_sandbox/balance", self.set_balance, methods=["PUT"]),
            Path("/_sandbox/settings", self.change, methods=["PATCH"]),
            Path("/_sandbox/faults", self.list_faults, methods=["GET"]),
            Path("/_sandbox/faults", self.inject, methods=["POST"]),
            Path("/_sandbox/faults", self.clear_faults, methods=["DELETE"]),
            Path("/_sandbox/faults/{fault_id}", self.remove_fault, methods=["DELETE"]),
            Path("/_sandbox/scenarios", self.list_scenarios, methods=["GET"]),
            Path("/_sandbox/scenarios", self.begin_scenario, methods=["POST"]),
            Path("/_sandbox/endpoints/{endpoint_id}/stop", self.stop_endpoint, methods=["POST"]),
            Path("/_sandbox/endpoints/{endpoint_id}/start", self.start_endpoint, methods=["POST"]),
        ]

    async def books(self, request: Request) -> Response:
        """Return the books; `?debits=no` omits the lists that grow with the requests."""
        books = self._service.books.snapshot(debits=request.query_params.get("debits") != "no")
        return Response(books.model_dump_json(), media_type="application/json")

    async def journal(self, request: Request) -> Response:
        """Return entries of the journal, oldest first: `?kind=debit&after=100&limit=1000`."""
        try:
            page = Page.model_validate(dict(request.query_params))
        except ValidationError as error:
            raise invalid_body(error) from error
        found = self._service.journal.entries(page.kind, page.after, page.limit)
        return answer({"entries": [{"n": number, **entry._asdict()} for number, entry in found]})

    async def top_up(self, request: Request) -> Response:
        """Add to the balance."""
        self._service.books.top_up((await read_json(request, Amount)).micro_usd)
        return self._balance()

    async def set_balance(self, request: Request) -> Response:
        """Set the balance."""
        self._service.books.set_balance((await read_json(request, Amount)).micro_usd)
        return self._balance()

    async def change(self, request: Request) -> Response:
        """Change settings."""
        change = await read_json(request, Change)
        self._service.change(**change.changes())
        return answer(change.changes())

    async def list_faults(self, request: Request) -> Response:
        """List the active faults."""
        return answer({"faults": [_fault(active) for active in self._service.faults.all()]})

    async def inject(self, request: Request) -> Response:
        """Switch a fault on."""
        body = await read_body(request.receive, MAX_JSON_BYTES)
        try:
            fault = FAULT.validate_json(body)
        except ValidationError as error:
            raise invalid_body(error) from error
        active = self._service.faults.add(fault)
        self._service.journal.write("fault", active.id, detail=fault.model_dump_json(exclude_none=True))
        return answer(_fault(active), 201)

    async def clear_faults(self, request: Request) -> Response:
        """Switch every fault off."""
        for active in self._service.faults.all():
            self._service.journal.write("fault", active.id, detail="off")
        self._service.faults.clear()
        return Response(status_code=204)

    async def remove_fault(self, request: Request) -> Response:
        """Switch one fault off."""
        fault_id = request.path_params["fault_id"]
        if not self._service.faults.remove(fault_id):
            raise not_found("fault", fault_id)
        self._service.journal.write("fault", fault_id, detail="off")
        return Response(status_code=204)

    async def list_scenarios(self, request: Request) -> Response:
        """List the scenarios of the library with the lesson of each."""
        return answer({"scenarios": [{"name": name, "teaches": teaches} for name, teaches in library().items()]})

    async def begin_scenario(self, request: Request) -> Response:
        """Begin a scenario of the library, or the scenario in the body."""
        wanted = await read_json(request, Begin)
        try:
            chosen = wanted.scenario or from_library(wanted.name)
        except ScenarioError as error:
            raise Refusal(404, str(error)) from error
        begin(self._service, chosen, wanted.name)
        return answer({"name": wanted.name, "teaches": chosen.teaches.strip()}, 201)

    async def stop_endpoint(self, request: Request) -> Response:
        """Stop an endpoint, including a seed."""
        endpoint = self._service.endpoints.get(request.path_params["endpoint_id"])
        self._service.endpoints.become(endpoint, "stopped")
        return answer({"id": endpoint.id, "status": endpoint.state})

    async def start_endpoint(self, request: Request) -> Response:
        """Start an endpoint, including a seed; it is live after its cold start."""
        endpoint = self._service.endpoints.get(request.path_params["endpoint_id"])
        self._service.endpoints.start(endpoint, self._service.settings.cold_start_s)
        return answer({"id": endpoint.id, "status": endpoint.state})

    def _balance(self) -> Response:
        return answer({"balance_micro_usd": self._service.books.balance})


def _fault(active: Active) -> dict[str, object]:
    return {"id": active.id, "seen": active.seen, "struck": active.hits, "refused": active.refused} | {
        "fault": active.fault.model_dump(exclude_none=True)
    }
