"""HTTP helpers for the tests, independent of our packages, so that a mistake in one is visible in the other."""

import json
import ssl
import time
from collections.abc import Iterator

import httpx

from pareta_sandbox.testing import Sandbox

LICENSES = "ep_seed_licenses"
QUESTION = "Which licence is this? Answer with its SPDX identifier only."
MIT = (
    "MIT License\n\nCopyright (c) 2020 Ada\n\nPermission is hereby granted, free of charge, to any person, "
    "subject to the following conditions: keep this notice."
)
# Made once: a context of its own would cost every client 50 ms.
CONTEXT = ssl.create_default_context()
JsonObject = dict[str, object]


def client(sandbox: Sandbox, *, timeout: float | httpx.Timeout = 30) -> httpx.Client:
    """Open a client with the API key."""
    return httpx.Client(
        base_url=sandbox.base_url,
        headers={"authorization": f"Bearer {sandbox.api_key}"},
        timeout=timeout,
        verify=CONTEXT,
    )


def async_client(sandbox: Sandbox, *, timeout: float | httpx.Timeout = 30) -> httpx.AsyncClient:
    """Open an async client with the API key."""
    return httpx.AsyncClient(
        base_url=sandbox.base_url,
        headers={"authorization": f"Bearer {sandbox.api_key}"},
        timeout=timeout,
        verify=CONTEXT,
        limits=httpx.Limits(max_connections=None),
    )


def asked(text: str = MIT, model: str = LICENSES, **fields: object) -> JsonObject:
    """Build the body of a completion."""
    return {"model": model, "messages": [{"role": "user", "content": f"{QUESTION}\n\n{text}"}], **fields}


def complete(
    http: httpx.Client, text: str = MIT, *, key: str | None = None, model: str = LICENSES, **fields: object
) -> httpx.Response:
    """Send a completion request."""
    headers = {"idempotency-key": key} if key else {}
    return http.post("/v1/chat/completions", json=asked(text, model, **fields), headers=headers)


def content(reply: httpx.Response) -> str:
    """Return the answer in a completion."""
    return str(reply.json()["choices"][0]["message"]["content"])


def events(text: str) -> Iterator[tuple[str, JsonObject]]:
    """Read named server-sent events."""
    for block in filter(None, text.split("\n\n")):
        name, data = block.split("\n")
        yield name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def chunks(text: str) -> list[JsonObject]:
    """Read the chunks of a chat stream."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def streamed_text(text: str) -> str:
    """Join the text of a chat stream."""
    parts = []
    for chunk in chunks(text):
        choices = chunk["choices"]
        assert isinstance(choices, list)
        parts += [choice["delta"].get("content", "") for choice in choices]
    return "".join(parts)


def cut_off(http: httpx.Client, key: str) -> bytes:
    """Read a stream that is cut, and return the events before the cut."""
    got = b""
    headers = {"idempotency-key": key}
    try:
        with http.stream("POST", "/v1/chat/completions", json=asked(stream=True), headers=headers) as reply:
            for part in reply.iter_bytes():
                got += part
    except httpx.RemoteProtocolError:
        return got
    raise AssertionError("the stream was not cut")


def eval_set(http: httpx.Client, rows: list[JsonObject], **fields: str) -> httpx.Response:
    """Create an eval set."""
    items = "\n".join(json.dumps(row) for row in rows)
    return http.post("/v1/eval-sets", files={"items": ("items.jsonl", items.encode())}, data=fields)


def licence_set(http: httpx.Client) -> str:
    """Create a small eval set, and return its id."""
    rows: list[JsonObject] = [
        {"input": f"{QUESTION}\n\n{MIT}", "expected": "MIT"},
        {"input": f"{QUESTION}\n\n{MIT.removeprefix('MIT License')}", "expected": "MIT"},
    ]
    return str(eval_set(http, rows, task_id="license-identification").json()["eval_set"]["id"])


def start_run(http: httpx.Client, set_id: str, *candidates: str, key: str | None = None) -> httpx.Response:
    """Start an eval run."""
    headers = {"idempotency-key": key} if key else {}
    body = {"eval_set_id": set_id, "candidate_model_ids": list(candidates)}
    return http.post("/v1/eval-runs", json=body, headers=headers)


def finished(http: httpx.Client, run_id: str, within_s: float = 30) -> JsonObject:
    """Poll a run until it has ended."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        run: JsonObject = http.get(f"/v1/eval-runs/{run_id}").json()
        status = run["run"]
        assert isinstance(status, dict)
        if status["status"] in ("completed", "failed"):
            return run
    raise AssertionError(f"run {run_id} was not over within {within_s} s")
