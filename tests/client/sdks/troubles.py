"""The same programs on a bad day: each asks the sandbox for its trouble, and says how the client came out of it."""

import json
import urllib.request
from collections.abc import Iterable
from typing import Any

# Clients of several packages pass through here, so their objects are untyped.
Client = Any

ASK = [{"role": "user", "content": "MIT License. Permission is hereby granted, free of charge, to any person"}]
TASK = "license-identification"
ROWS = [{"input": "Apache License, Version 2.0", "expected": "Apache-2.0"}]
CONTRACT = [{"expected": {"copyright_holder": "Ada"}}]
STATUSES = (400, 401, 402, 403, 404, 409, 422, 429, 500, 502, 503)
# What openai calls otherwise is left out; the rest has the same names everywhere.
SHARED_STATUSES = (400, 401, 403, 404, 409, 429)
KNOWN = {
    "APITimeoutError", "APIConnectionError", "BadRequestError", "AuthenticationError", "InsufficientCreditsError",
    "PermissionDeniedError", "NotFoundError", "ConflictError", "RateLimitError", "EndpointNotReadyError",
    "APIStatusError", "ParetaError",
}  # fmt: skip


def told(error: Exception) -> str:
    """Name an error by the first of its classes that every client has."""
    names = [one.__name__ for one in type(error).__mro__]
    return next((name for name in names if name in KNOWN), names[0])


class Sandbox:
    """The switches of the sandbox, by its control routes."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send a control request."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._base_url}/_sandbox{path}", content, method=method)
        with urllib.request.urlopen(request) as reply:
            answer = reply.read()
        return json.loads(answer) if answer else None

    def trouble(self, kind: str, **fields: object) -> None:
        """Switch a fault on, and all others off."""
        self.ask("DELETE", "/faults")
        self.ask("POST", "/faults", {"kind": kind, **fields})

    def completions(self) -> int:
        """Count the completions that were billed."""
        return int(self.ask("GET", "/books?debits=no")["completions"])


class Troubles:
    """What every client goes through: retries, lost connections, error classes. `pa` makes three attempts."""

    def __init__(self, sandbox: Sandbox, model: str, statuses: Iterable[int] = STATUSES) -> None:
        self._sandbox = sandbox
        self._model = model
        self._statuses = statuses

    def _text(self, pa: Client) -> Any:
        return pa.chat.completions.create(model=self._model, messages=ASK).choices[0].message.content

    def _streamed(self, pa: Client) -> Any:
        chunks = pa.chat.completions.create(model=self._model, messages=ASK, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    def rate_limited_twice(self, pa: Client) -> Any:
        self._sandbox.trouble("status", status=429, times=2, retry_after_s=0)
        return self._text(pa)

    def provider_down_once_before_a_stream(self, pa: Client) -> Any:
        self._sandbox.trouble("status", status=503, times=1, retry_after_s=0)
        return self._streamed(pa)

    def connection_dropped_before_the_work(self, pa: Client) -> Any:
        self._sandbox.trouble("drop", times=1)
        return self._text(pa)

    def never_an_answer(self, pa: Client) -> Any:
        self._sandbox.trouble("drop", how="reset")
        return self._text(pa)

    def statuses(self, pa: Client) -> Any:
        return [self._raised(pa, status) for status in self._statuses]

    def _raised(self, pa: Client, status: int) -> Any:
        self._sandbox.trouble("status", status=status, retry_after_s=0)
        try:
            return self._text(pa)
        except Exception as error:  # noqa: BLE001 - what is raised is what is compared
            return [status, told(error), bool(getattr(error, "request_id", None))]

    def html_of_a_proxy(self, pa: Client) -> Any:
        self._sandbox.trouble("html", status=404)
        return self._text(pa)

    def slow_body(self, pa: Client) -> Any:
        self._sandbox.trouble("slow_body", seconds=0.2, times=1)
        return self._text(pa)

    def wallet_empty_then_filled(self, pa: Client) -> Any:
        self._sandbox.ask("PUT", "/balance", {"micro_usd": 0})
        seen = [self._raised_when_broke(pa)]
        self._sandbox.ask("PUT", "/balance", {"micro_usd": 10**8})
        return [*seen, self._text(pa)]

    def _raised_when_broke(self, pa: Client) -> Any:
        self._sandbox.ask("DELETE", "/faults")
        try:
            return self._text(pa)
        except Exception as error:  # noqa: BLE001 - what is raised is what is compared
            return getattr(error, "status_code", None)


class DeployTroubles(Troubles):
    """What a service with endpoints and evals adds."""

    def stopped_and_started(self, pa: Client) -> Any:
        endpoint = pa.endpoints.deploy(task=TASK, name="restarted", wait=True)
        pa.endpoints.stop(endpoint.id)
        pa.endpoints.start(endpoint.id)
        return pa.endpoints.retrieve(endpoint.id).status in ("starting", "live")

    def seed_endpoint_stays(self, pa: Client) -> Any:
        return pa.endpoints.stop("ep_seed_licenses")

    def failed_deploy_watched(self, pa: Client) -> Any:
        self._sandbox.trouble("deploy_fails", times=1)
        return [event["event"] for event in pa.endpoints.deploy(task=TASK, name="watched failing")]

    def failed_deploy(self, pa: Client) -> Any:
        self._sandbox.trouble("deploy_fails", times=1)
        return pa.endpoints.deploy(task=TASK, name="failing", wait=True)

    def cut_deploy(self, pa: Client) -> Any:
        self._sandbox.trouble("deploy_stream_cut", times=1)
        try:
            return pa.endpoints.deploy(task=TASK, name="cut", wait=True)
        except Exception as error:  # noqa: BLE001 - ours is a connection error, theirs the base of all errors
            found = [one.name for one in pa.endpoints.list() if one.name == "cut"]
            return ["ParetaError" in [one.__name__ for one in type(error).__mro__], found]

    def failed_eval_run(self, pa: Client) -> Any:
        self._sandbox.trouble("eval_run_fails", times=1)
        run = pa.evals.runs.create(task=TASK, items=ROWS, models=["wren-1"], wait=True, poll_interval=0.05)
        return [run.status, run.is_terminal, bool(run.error_detail), run.cost_micro_usd]

    def wait_that_ran_out(self, pa: Client) -> Any:
        self._sandbox.trouble("eval_run_hangs", times=1)
        run = pa.evals.runs.create(task=TASK, items=ROWS, models=["wren-1"])
        try:
            pa.evals.runs.wait(run.id, poll_interval=0.05, timeout=0.3)
        except Exception as error:  # noqa: BLE001 - what is raised is what is compared
            return [told(error), pa.evals.runs.retrieve(run.id).is_terminal]
        return "the run ended"

    def documents(self, pa: Client) -> Any:
        eval_set = pa.evals.sets.create(task="contract-extraction", items=CONTRACT)
        small, large = b"Copyright (c) 2020 Ada", b"Copyright (c) 2020 Ada\n" + b"x" * (5 * 1024 * 1024)
        attached = [
            pa.evals.sets.upload_document(eval_set.id, content, idx=0, field_name="document", mime="text/plain")
            for content in (small, large)
        ]
        return [[one["status"], one["size"]] for one in attached]

    def wishes(self, pa: Client) -> Any:
        found = [pa.tasks.match(wish) for wish in ("which licence is this?", "write python code", "generate an image")]
        return [[one.type, one.matched, one.matcher, (one.to_dict()["capability"] or {}).get("id")] for one in found]
