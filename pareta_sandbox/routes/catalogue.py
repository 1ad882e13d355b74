"""Routes under `/v1` for models, endpoints and the catalogue of tasks."""

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route as Path

from pareta_sandbox.http.body import active_faults, answer, fingerprint, honoured_key, read_json
from pareta_sandbox.http.errors import invalid, not_found
from pareta_sandbox.http.idempotency import Replays
from pareta_sandbox.models import catalogue
from pareta_sandbox.models.catalogue import TASKS, Task
from pareta_sandbox.models.matching import match_query
from pareta_sandbox.models.roster import FRONTIER
from pareta_sandbox.service import Service
from pareta_sandbox.state import deploys
from pareta_sandbox.state.endpoints import Endpoint, changeable, record
from pareta_sandbox.state.metrics import METRICS


class Deploy(BaseModel):
    """Body of a deploy; unknown fields are accepted."""

    model_config = ConfigDict(extra="allow")

    task: str = Field(min_length=1)
    model: str = Field("recommended", min_length=1)
    name: str | None = Field(None, min_length=1, max_length=200)


class Query(BaseModel):
    """Body of a task match: a description in natural language."""

    query: str = Field(min_length=1, max_length=10_000)
    top_k: int = Field(5, ge=1, le=50)


class Routes:
    """Handlers of models, endpoints and tasks."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._deployed: Replays[Endpoint] = Replays()

    def paths(self) -> list[Path]:
        """Return the route table."""
        endpoint = "/v1/endpoints/{endpoint_id}"
        return [
            Path("/v1/models", self.models),
            Path("/v1/endpoints", self.list_endpoints, methods=["GET"]),
            Path("/v1/endpoints", self.deploy, methods=["POST"]),
            Path(endpoint, self.retrieve_endpoint, methods=["GET"]),
            Path(endpoint, self.delete_endpoint, methods=["DELETE"]),
            Path(f"{endpoint}/start", self.start_endpoint, methods=["POST"]),
            Path(f"{endpoint}/stop", self.stop_endpoint, methods=["POST"]),
            Path(f"{endpoint}/{{metric}}", self.metric, methods=["GET"]),
            Path("/v1/tasks", self.list_tasks),
            Path("/v1/tasks/match", self.match, methods=["POST"]),
            Path("/v1/tasks/{task_id}", self.retrieve_task),
            Path("/v1/tasks/{task_id}/leaderboard", self.leaderboard),
            Path("/v1/eval/frontier-models", self.frontier_models),
        ]

    async def models(self, request: Request) -> Response:
        """List the live endpoints in the format of OpenAI's model list."""
        live = [e for e in self._service.endpoints.all() if e.state == "live"]
        entries = [{"id": e.id, "object": "model", "owned_by": "pareta", "created": int(e.created)} for e in live]
        return answer({"object": "list", "data": entries})

    async def list_endpoints(self, request: Request) -> Response:
        """List the endpoints, as a JSON array."""
        return answer([self._record(endpoint) for endpoint in self._service.endpoints.all()])

    async def retrieve_endpoint(self, request: Request) -> Response:
        """Return one endpoint."""
        return answer(self._record(self._endpoint(request)))

    async def deploy(self, request: Request) -> Response:
        """Deploy a model for a task, and stream the progress as named events."""
        wanted = await read_json(request, Deploy)
        if wanted.model == "recommended" and wanted.task in TASKS:
            await self._service.recommended(wanted.task)  # measured first: `deploy` below must not block the event loop
        faults = active_faults(request)
        seconds = self._service.settings.deploy_s

        async def deploy() -> Endpoint:
            endpoint = self._service.endpoints.deploy(wanted.task, wanted.model, wanted.name)
            deploys.begin(self._service.endpoints, endpoint, seconds, faults)
            return endpoint

        request_hash = fingerprint("deploy", wanted.task, wanted.model, wanted.name)
        endpoint, _ = await self._deployed.once(honoured_key(request, self._service), request_hash, deploy)
        events = deploys.progress(endpoint, seconds, faults, self._service.base_url)
        return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})

    async def start_endpoint(self, request: Request) -> Response:
        """Start a stopped endpoint."""
        endpoint = changeable(self._endpoint(request))
        self._service.endpoints.start(endpoint, self._service.settings.cold_start_s)
        return answer({"id": endpoint.id, "status": endpoint.state})

    async def stop_endpoint(self, request: Request) -> Response:
        """Stop an endpoint."""
        endpoint = changeable(self._endpoint(request))
        self._service.endpoints.become(endpoint, "stopped")
        return answer({"id": endpoint.id, "status": endpoint.state})

    async def delete_endpoint(self, request: Request) -> Response:
        """Delete an endpoint."""
        self._service.endpoints.delete(changeable(self._endpoint(request)))
        return Response(status_code=204)

    async def metric(self, request: Request) -> Response:
        """Return one metric of an endpoint; query parameters are echoed."""
        endpoint, name = self._endpoint(request), request.path_params["metric"]
        if name not in METRICS:
            raise HTTPException(404)
        return answer({**METRICS[name](endpoint), "parameters": dict(request.query_params)})

    async def list_tasks(self, request: Request) -> Response:
        """List the tasks of the catalogue."""
        return answer({"tasks": [_task(task) for task in TASKS.values()]})

    async def retrieve_task(self, request: Request) -> Response:
        """Return one task, with `examples_n` examples."""
        task = _known_task(request.path_params["task_id"])
        wanted = request.query_params.get("examples_n")
        if wanted is None:
            return answer(_task(task))
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= 6):
            raise invalid(
                ["query", "examples_n"], f"examples_n is a whole number from 0, not '{wanted}'", "int_parsing"
            )
        rows = catalogue.sample(task.id)[: int(wanted)]
        examples = [{"input": {"document": row.document}, "expected_output": _as_object(row.expected)} for row in rows]
        return answer({**_task(task), "examples": examples})

    async def match(self, request: Request) -> Response:
        """Find the task or the general capability that matches a query."""
        body = await read_json(request, Query)
        return answer(match_query(body.query, body.top_k))

    async def leaderboard(self, request: Request) -> Response:
        """Return the leaderboard of a task, measured on its sample."""
        task = _known_task(request.path_params["task_id"])
        recommended = await self._service.recommended(task.id)
        ranked = [
            {
                "name": entry.model.id,
                "kind": entry.kind,
                "quality": round(entry.quality.mean, 4),
                "cost_per_request_micro_usd": entry.cost_per_request_micro_usd,
                "context_k": entry.model.context_k,
            }
            for entry in catalogue.leaderboard(task.id)
            if entry.model.benchmarked
        ]
        return answer(
            {
                "task_id": task.id,
                "metric": task.scorer,
                "cost_unit": "micro_usd_per_request",
                "recommended": recommended,
                "models": ranked,
                "frontier": next(entry for entry in ranked if entry["kind"] == "frontier"),
            }
        )

    async def frontier_models(self, request: Request) -> Response:
        """List the frontier models for comparison; tasks with documents need models with vision."""
        task_id = request.query_params.get("task")
        task = _known_task(task_id) if task_id else None
        roster = [
            {
                "id": model.id,
                "vendor": model.vendor,
                "vision": model.vision,
                "benchmarked": model.benchmarked and task is not None,
            }
            for model in FRONTIER
            if model.vision or not (task and task.has_blob_input)
        ]
        return answer({"frontier_models": roster})

    def _endpoint(self, request: Request) -> Endpoint:
        return self._service.endpoints.get(request.path_params["endpoint_id"])

    def _record(self, endpoint: Endpoint) -> dict[str, object]:
        return record(endpoint, self._service.base_url)


def _known_task(task_id: str) -> Task:
    if task_id not in TASKS:
        raise not_found("task", task_id)
    return TASKS[task_id]


def _task(task: Task) -> dict[str, object]:
    return {
        "id": task.id,
        "title": task.title,
        "default_scorer": task.scorer,
        "has_blob_input": task.has_blob_input,
        "recommended_system_prompt": task.system_prompt,
        "prompt_scaffold": task.scaffold,
    }


def _as_object(expected: object) -> object:
    return expected if isinstance(expected, dict) else {"label": expected}
