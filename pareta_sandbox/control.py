"""The control routes under `/_sandbox`: read the books, change the balance, switch faults. No key is needed."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Path

from pareta_sandbox.border import LARGEST_JSON, answer, read_bytes, read_json, wrong_body
from pareta_sandbox.endpoints import become, live_later
from pareta_sandbox.faults import FAULT
from pareta_sandbox.injection import Active
from pareta_sandbox.refusals import not_found
from pareta_sandbox.service import Service


class Amount(BaseModel):
    """An amount of money."""

    micro_usd: int = Field(ge=-(10**15), le=10**15)


class Change(BaseModel):
    """Settings that can change while the sandbox runs; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    latency_ms: float | None = Field(None, ge=0)
    cold_start_s: float = Field(0.0, ge=0)
    deploy_s: float = Field(0.0, ge=0)
    eval_s: float = Field(0.0, ge=0)
    idempotency: bool = True


class Control:
    """The handlers of `/_sandbox`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def paths(self) -> list[Path]:
        """Return the route table."""
        return [
            Path("/_sandbox/books", self.books),
            Path("/_sandbox/top-up", self.top_up, methods=["POST"]),
            Path("/_sandbox/balance", self.set_balance, methods=["PUT"]),
            Path("/_sandbox/settings", self.change, methods=["PATCH"]),
            Path("/_sandbox/faults", self.list_faults, methods=["GET"]),
            Path("/_sandbox/faults", self.inject, methods=["POST"]),
            Path("/_sandbox/faults", self.clear_faults, methods=["DELETE"]),
            Path("/_sandbox/faults/{fault_id}", self.remove_fault, methods=["DELETE"]),
            Path("/_sandbox/endpoints/{endpoint_id}/stop", self.stop_endpoint, methods=["POST"]),
            Path("/_sandbox/endpoints/{endpoint_id}/start", self.start_endpoint, methods=["POST"]),
        ]

    async def books(self, request: Request) -> Response:
        """Return the books."""
        return Response(self._service.books.snapshot().model_dump_json(), media_type="application/json")

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
        self._service.change(**change.model_dump(include=change.model_fields_set))
        return answer(change.model_dump(include=change.model_fields_set))

    async def list_faults(self, request: Request) -> Response:
        """List the faults that are on."""
        return answer({"faults": [_fault(active) for active in self._service.faults.all()]})

    async def inject(self, request: Request) -> Response:
        """Switch a fault on."""
        body = await read_bytes(request, LARGEST_JSON)
        try:
            fault = FAULT.validate_json(body)
        except ValidationError as wrong:
            raise wrong_body(wrong) from wrong
        return answer(_fault(self._service.faults.add(fault)), 201)

    async def clear_faults(self, request: Request) -> Response:
        """Switch every fault off."""
        self._service.faults.clear()
        return Response(status_code=204)

    async def remove_fault(self, request: Request) -> Response:
        """Switch one fault off."""
        fault_id = request.path_params["fault_id"]
        if not self._service.faults.remove(fault_id):
            raise not_found("fault", fault_id)
        return Response(status_code=204)

    async def stop_endpoint(self, request: Request) -> Response:
        """Stop an endpoint, also a seed."""
        endpoint = self._service.endpoints.get(request.path_params["endpoint_id"])
        become(endpoint, "stopped")
        return answer({"id": endpoint.id, "status": endpoint.state})

    async def start_endpoint(self, request: Request) -> Response:
        """Start an endpoint, also a seed; it is live after its cold start."""
        endpoint = self._service.endpoints.get(request.path_params["endpoint_id"])
        if endpoint.state == "stopped":
            become(endpoint, "starting")
            live_later(endpoint, self._service.settings.cold_start_s)
        return answer({"id": endpoint.id, "status": endpoint.state})

    def _balance(self) -> Response:
        return answer({"balance_micro_usd": self._service.books.balance})


def _fault(active: Active) -> dict[str, object]:
    return {"id": active.id, "seen": active.seen, "struck": active.struck, "refused": active.refused} | {
        "fault": active.fault.model_dump(exclude_none=True)
    }
