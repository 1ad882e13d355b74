"""OpenAPI document, built from route tables, docstrings and body models."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from pydantic import BaseModel
from starlette.routing import Route as Path

from pareta_sandbox.faults.kinds import FAULT
from pareta_sandbox.routes import catalogue as routes
from pareta_sandbox.routes import control
from pareta_sandbox.routes import evals as eval_routes
from pareta_sandbox.routes.chat_request import ChatRequest
from pareta_sandbox.settings import Change

Schema = dict[str, object]

JSON_BODIES: Mapping[tuple[str, str], type[BaseModel]] = {
    ("POST", "/v1/chat/completions"): ChatRequest,
    ("POST", "/v1/endpoints"): routes.Deploy,
    ("POST", "/v1/tasks/match"): routes.Query,
    ("POST", "/v1/eval-runs"): eval_routes.NewRun,
    ("POST", "/v1/eval-sets/{set_id}/blob-upload-url"): eval_routes.NewUpload,
    ("POST", "/v1/eval-sets/{set_id}/blob-upload-complete"): eval_routes.DoneUpload,
    ("POST", "/_sandbox/top-up"): control.Amount,
    ("PUT", "/_sandbox/balance"): control.Amount,
    ("PATCH", "/_sandbox/settings"): Change,
    ("POST", "/_sandbox/scenarios"): control.Begin,
}
FILE: Schema = {"type": "string", "format": "binary"}
TEXT: Schema = {"type": "string"}
FORMS: Mapping[tuple[str, str], dict[str, Schema]] = {
    ("POST", "/v1/eval-sets"): {"items": FILE, "task_id": TEXT, "prompt": TEXT, "name": TEXT},
    ("POST", "/v1/eval-sets/propose-contract"): {"items": FILE, "prompt": TEXT},
    ("POST", "/v1/eval-sets/{set_id}/attach-blob"): {"file": FILE, "idx": TEXT, "field_name": TEXT, "mime": TEXT},
}
STREAMS = {("POST", "/v1/chat/completions"), ("POST", "/v1/endpoints")}
SUCCESS = {("POST", "/v1/eval-sets"): 201, ("POST", "/v1/eval-runs"): 202, ("POST", "/_sandbox/faults"): 201}
SUCCESS[("POST", "/_sandbox/scenarios")] = 201
NO_BODY = {("DELETE", path) for path in ("/v1/endpoints/{endpoint_id}", "/v1/eval-sets/{set_id}")}
NO_BODY |= {("DELETE", "/_sandbox/faults"), ("DELETE", "/_sandbox/faults/{fault_id}")}
EXAMPLES = {"endpoint_id": "ep_seed_tickets", "task_id": "support-ticket-routing", "metric": "performance"}
REFUSALS = (400, 401, 402, 403, 404, 409, 413, 422, 429, 503)
ERROR: Schema = {
    "type": "object",
    "properties": {"detail": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]}},
    "required": ["detail"],
}


def document(paths: Iterable[Path]) -> Schema:
    """Build the document for the given routes and for chat completions, which has no route table."""
    schemas: Schema = {"Error": ERROR}
    operations: dict[str, Schema] = {}
    chat = "Answer a chat, complete or as a stream; metered, and billed once per idempotency key."
    operations["/v1/chat/completions"] = {"post": _operation("POST", "/v1/chat/completions", chat, schemas)}
    for path in paths:
        for method in sorted((path.methods or set()) - {"HEAD"}):
            summary = (path.endpoint.__doc__ or "").strip()
            operations.setdefault(path.path, {})[method.lower()] = _operation(method, path.path, summary, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pareta sandbox", "version": "2", "description": "A local Pareta service."},
        "security": [{"key": []}],
        "paths": operations,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "pareta_sk_…"}},
        },
    }


def _operation(method: str, path: str, summary: str, schemas: Schema) -> Schema:
    operation: Schema = {
        "summary": summary.partition("\n")[0],
        "tags": [path.split("/")[2] if path.count("/") > 1 else "pages"],
        "responses": _responses(method, path),
    }
    names = re.findall(r"\{(\w+)\}", path)
    if names:
        operation["parameters"] = [_parameter(name) for name in names]
    body = _body(method, path, schemas)
    if body:
        operation["requestBody"] = {"required": True, "content": body}
    if not path.startswith("/v1/"):
        operation["security"] = []
    return operation


def _parameter(name: str) -> Schema:
    example = {"example": EXAMPLES[name]} if name in EXAMPLES else {}
    return {"name": name, "in": "path", "required": True, "schema": TEXT, **example}


def _body(method: str, path: str, schemas: Schema) -> Schema | None:
    if (method, path) == ("POST", "/_sandbox/faults"):
        return {"application/json": {"schema": _component("Fault", FAULT.json_schema(ref_template=REF), schemas)}}
    if model := JSON_BODIES.get((method, path)):
        schema = model.model_json_schema(ref_template=REF)
        return {"application/json": {"schema": _component(model.__name__, schema, schemas)}}
    if form := FORMS.get((method, path)):
        return {"multipart/form-data": {"schema": {"type": "object", "properties": form}}}
    return {"application/octet-stream": {"schema": FILE}} if method == "PUT" else None


REF = "#/components/schemas/{model}"


def _component(name: str, schema: Schema, schemas: Schema) -> Schema:
    inner = schema.pop("$defs", {})
    assert isinstance(inner, dict)
    schemas.update(inner)
    schemas[name] = schema
    return {"$ref": REF.format(model=name)}


def _responses(method: str, path: str) -> Schema:
    error = {"description": "refused", "content": {"application/json": {"schema": {"$ref": REF.format(model="Error")}}}}
    refused = {str(status): {**error, "description": HTTPStatus(status).phrase} for status in REFUSALS}
    if (method, path) in NO_BODY:
        return {"204": {"description": "gone"}, **refused}
    kinds = ["application/json"] if path.startswith(("/v1/", "/_sandbox/", "/openapi")) else ["text/html"]
    if (method, path) in STREAMS:
        kinds = ["text/event-stream"] if path == "/v1/endpoints" else [*kinds, "text/event-stream"]
    if path.startswith("/_storage/"):
        return {"200": {"description": "kept"}, **refused}
    status = SUCCESS.get((method, path), 200)
    return {str(status): {"description": "done", "content": {kind: {} for kind in kinds}}, **refused}
