"""Routes under `/v1` for eval sets, their documents, and eval runs."""

import time

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Path

from pareta_sandbox.http.body import (
    REQUEST_ID,
    active_faults,
    answer,
    fingerprint,
    honoured_key,
    read_form,
    read_json,
    sent_key,
)
from pareta_sandbox.http.errors import Refusal, invalid, not_found
from pareta_sandbox.http.exchange import read_body
from pareta_sandbox.http.idempotency import Replays
from pareta_sandbox.models.proposals import propose
from pareta_sandbox.service import Service
from pareta_sandbox.state import documents, eval_sets
from pareta_sandbox.state.documents import MAX_INLINE_BYTES, MAX_UPLOAD_BYTES, Uploads
from pareta_sandbox.state.eval_runs import EvalRuns, Run
from pareta_sandbox.state.eval_sets import EvalSet


class NewRun(BaseModel):
    """Body of a new eval run."""

    eval_set_id: str = Field(min_length=1)
    candidate_model_ids: list[str] = Field(min_length=1, max_length=64)


class NewUpload(BaseModel):
    """Body of a request for a signed upload URL."""

    idx: int = Field(ge=0)
    field_name: str = Field(min_length=1, max_length=200)
    mime: str = Field("application/octet-stream", max_length=200)
    file_size: int = Field(ge=1, le=MAX_UPLOAD_BYTES)


class DoneUpload(BaseModel):
    """Body of the confirmation of an upload."""

    idx: int = Field(ge=0)
    field_name: str = Field(min_length=1, max_length=200)
    storage_uri: str = Field(min_length=1, max_length=500)
    mime: str = Field("application/octet-stream", max_length=200)


class EvalRoutes:
    """Handlers of eval sets and eval runs."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._sets: dict[str, EvalSet] = {}
        self._runs = EvalRuns(service)
        self._uploads = Uploads()
        self._made_sets: Replays[EvalSet] = Replays()
        self._made_runs: Replays[Run] = Replays()

    def paths(self) -> list[Path]:
        """Return the route table."""
        one = "/v1/eval-sets/{set_id}"
        return [
            Path("/v1/eval-sets/propose-contract", self.propose, methods=["POST"]),
            Path("/v1/eval-sets", self.list_sets, methods=["GET"]),
            Path("/v1/eval-sets", self.create_set, methods=["POST"]),
            Path("/v1/eval-sets/{set_id}", self.retrieve_set, methods=["GET"]),
            Path("/v1/eval-sets/{set_id}", self.delete_set, methods=["DELETE"]),
            Path("/v1/eval-runs", self.start_run, methods=["POST"]),
            Path("/v1/eval-runs/{run_id}", self.retrieve_run, methods=["GET"]),
            Path(f"{one}/attach-blob", self.attach, methods=["POST"]),
            Path(f"{one}/blob-upload-url", self.open_upload, methods=["POST"]),
            Path(f"{one}/blob-upload-complete", self.complete_upload, methods=["POST"]),
            Path("/_storage/{token}", self.put_document, methods=["PUT"]),
        ]

    async def propose(self, request: Request) -> Response:
        """Propose how to score rows under a prompt; nothing is stored."""
        fields, files = await read_form(request)
        prompt = fields.get("prompt", "").strip()
        if not prompt:
            raise invalid(["body", "prompt"], "a prompt is needed", "missing")
        items = files.get("items", fields.get("items", "").encode())
        return answer(propose(prompt, eval_sets.parse_rows(items, documents_may_follow=True)))

    async def list_sets(self, request: Request) -> Response:
        """List the eval sets."""
        return answer({"eval_sets": [eval_set.record() for eval_set in self._sets.values()]})

    async def create_set(self, request: Request) -> Response:
        """Create an eval set from uploaded rows."""
        fields, files = await read_form(request)
        items = files.get("items", fields.get("items", "").encode())
        task, prompt, name = (fields.get(field) or None for field in ("task_id", "prompt", "name"))
        request_hash = fingerprint("eval set", items, task, prompt, name)

        async def create() -> EvalSet:
            set_id = f"es_{self._service.next_number():08x}"
            self._sets[set_id] = eval_sets.build(set_id, items, task, prompt, name, int(time.time()))
            return self._sets[set_id]

        eval_set, _ = await self._made_sets.once(honoured_key(request, self._service), request_hash, create)
        return answer({"eval_set": eval_set.record()}, 201)

    async def retrieve_set(self, request: Request) -> Response:
        """Return one eval set."""
        return answer({"eval_set": self._set(request).record()})

    async def delete_set(self, request: Request) -> Response:
        """Delete an eval set."""
        del self._sets[self._set(request).id]
        return Response(status_code=204)

    async def start_run(self, request: Request) -> Response:
        """Queue an eval run, once per idempotency key."""
        wanted = await read_json(request, NewRun)
        request_hash = fingerprint("eval run", wanted.eval_set_id, wanted.candidate_model_ids)

        async def start() -> Run:
            eval_set, request_id = self._known_set(wanted.eval_set_id), request.scope[REQUEST_ID]
            models, faults = wanted.candidate_model_ids, active_faults(request)
            return self._runs.start(eval_set, models, sent_key(request), request_id, faults)

        run, _ = await self._made_runs.once(honoured_key(request, self._service), request_hash, start)
        return answer({"run_id": run.id, "status": run.status}, 202)

    async def retrieve_run(self, request: Request) -> Response:
        """Return an eval run, with its results once it has ended."""
        return answer(self._runs.get(request.path_params["run_id"]).record())

    async def attach(self, request: Request) -> Response:
        """Attach a small document to a row."""
        eval_set = self._set(request)
        fields, files = await read_form(request)
        if "file" not in files:
            raise invalid(["body", "file"], "a file part named 'file' is needed", "missing")
        if len(files["file"]) >= MAX_INLINE_BYTES:
            raise Refusal(413, f"documents of {MAX_INLINE_BYTES} bytes or more go through blob-upload-url")
        idx, name = fields.get("idx", ""), fields.get("field_name", "")
        if not (idx.isascii() and idx.isdigit() and len(idx) < 10):
            raise invalid(["body", "idx"], f"idx is a row number from 0, not '{idx}'", "int_parsing")
        if not name:
            raise invalid(["body", "field_name"], "field_name is needed", "missing")
        return answer(documents.attach(eval_set, int(idx), name, fields.get("mime", ""), files["file"]))

    async def open_upload(self, request: Request) -> Response:
        """Return a signed upload URL for a large document."""
        eval_set = self._set(request)
        wanted = await read_json(request, NewUpload)
        if wanted.idx >= len(eval_set.rows):
            raise invalid(["body", "idx"], f"there is no row {wanted.idx}; the set has {len(eval_set.rows)}")
        upload = self._uploads.open(eval_set, wanted.file_size)
        url = f"{self._service.base_url}/_storage/{upload.token}"
        return answer({"upload_url": url, "storage_uri": upload.storage_uri})

    async def put_document(self, request: Request) -> Response:
        """Store an uploaded document; the signed URL is the only permission needed."""
        self._uploads.put(request.path_params["token"], await read_body(request.receive, MAX_UPLOAD_BYTES))
        return Response(status_code=200)

    async def complete_upload(self, request: Request) -> Response:
        """Attach an uploaded document to a row."""
        eval_set = self._set(request)
        done = await read_json(request, DoneUpload)
        content = self._uploads.take(eval_set, done.storage_uri)
        return answer(documents.attach(eval_set, done.idx, done.field_name, done.mime, content))

    def _set(self, request: Request) -> EvalSet:
        return self._known_set(request.path_params["set_id"])

    def _known_set(self, set_id: str) -> EvalSet:
        if set_id not in self._sets:
            raise not_found("eval set", set_id)
        return self._sets[set_id]
