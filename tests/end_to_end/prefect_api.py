"""Prefect's REST API as its UI uses it."""

from typing import Any
from uuid import uuid4

import httpx

from tests.end_to_end.processes import until

Json = dict[str, Any]
Run = Json

ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class PrefectApi:
    """Talks to one server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=30)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def healthy(self) -> bool:
        """Return whether the server answers."""
        try:
            return self._http.get("/health").is_success
        except httpx.TransportError:
            return False

    def ask(self, method: str, path: str, body: Json | list[Json] | None = None, **fields: Any) -> Any:
        """Send a request and return its JSON answer; retry while the database of the server is busy."""
        reply = until(lambda: self._answer(method, path, body or fields or None), within_s=300, what=f"{method} {path}")
        assert reply.is_success, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json() if reply.content else None

    def _answer(self, method: str, path: str, body: Json | list[Json] | None) -> httpx.Response | None:
        try:
            reply = self._http.request(method, path, json=body)
        except httpx.TimeoutException:
            return None
        return None if reply.status_code == httpx.codes.SERVICE_UNAVAILABLE else reply

    def deployment(self, name: str) -> Json:
        """Return a deployment, given as `flow/name`."""
        found: Json = self.ask("GET", f"/deployments/name/{name}")
        return found

    def run(self, deployment: str, *, environment: dict[str, str] | None = None, **parameters: Any) -> Run:
        """Run a deployment with some parameters and variables of the environment overridden, as the Run form does."""
        found = self.deployment(deployment)
        created: Run = self.ask(
            "POST",
            f"/deployments/{found['id']}/create_flow_run",
            parameters={**found["parameters"], **parameters},
            job_variables={"env": environment} if environment else {},
            state={"type": "SCHEDULED"},
            # Asked again, the server gives the run that it made the first time.
            idempotency_key=str(uuid4()),
        )
        return created

    def flow_run(self, run_id: str) -> Run:
        """Return the current flow run."""
        found: Run = self.ask("GET", f"/flow_runs/{run_id}")
        return found

    def ended(self, run_id: str, *, within_s: float = 120) -> Run:
        """Wait until a run is over."""

        def look() -> Run | None:
            run = self.flow_run(run_id)
            return run if run["state"]["type"] in ENDED else None

        return until(look, within_s=within_s, what=f"run {run_id} over: {self.flow_run(run_id)['state']}")

    def in_state(self, run_id: str, name: str, *, within_s: float = 120) -> Run:
        """Wait until a run is in a state of that name."""

        def look() -> Run | None:
            run = self.flow_run(run_id)
            return run if run["state"]["name"] == name else None

        return until(look, within_s=within_s, what=f"run {run_id} {name}")

    def set_state(self, run_id: str, kind: str, name: str | None = None) -> None:
        """Ask for a state, as the Cancel, Retry and Resume menus do."""
        state = {"type": kind, "name": name, "message": "asked for by a person"}
        self.ask("POST", f"/flow_runs/{run_id}/set_state", state=state)

    def process_of(self, run_id: str) -> int | None:
        """Return the id of the process of a flow run, or None if it is not yet known."""
        where = self.flow_run(run_id)["infrastructure_pid"]
        return int(where.rpartition(":")[2]) if where else None

    def artifacts(self, run_id: str) -> dict[str, str]:
        """Return the types of the artifacts of a run, by key."""
        found = self.ask("POST", "/artifacts/filter", artifacts={"flow_run_id": {"any_": [run_id]}})
        return {artifact["key"]: artifact["type"] for artifact in found}

    def artifact(self, key: str) -> str:
        """Return the content of the latest artifact of a key."""
        return str(self.ask("GET", f"/artifacts/{key}/latest")["data"])

    def log_of(self, run_id: str) -> str:
        """Return the log messages of a run."""
        lines = self.ask("POST", "/logs/filter", logs={"flow_run_id": {"any_": [run_id]}}, sort="TIMESTAMP_ASC")
        return "\n".join(line["message"] for line in lines)

    def errors_of(self, run_id: str) -> list[str]:
        """Return the log messages of a run at ERROR and above."""
        wanted = {"flow_run_id": {"any_": [run_id]}, "level": {"ge_": 40}}
        return [line["message"] for line in self.ask("POST", "/logs/filter", logs=wanted)]

    def refusal(self, method: str, path: str, **body: Any) -> str:
        """Send a request that must be refused, and return the reason."""
        reply = self._http.request(method, path, json=body)
        assert reply.is_client_error, f"{method} {path}: {reply.status_code}, not refused"
        return reply.text

    def runs_named(self, name: str) -> list[Run]:
        """Find runs by their name."""
        found: list[Run] = self.ask("POST", "/flow_runs/filter", flow_runs={"name": {"any_": [name]}})
        return found

    def runs_below(self, run_id: str) -> list[Run]:
        """Find the subflow runs of a run."""
        found: list[Run] = self.ask("POST", "/flow_runs/filter", flow_runs={"parent_flow_run_id": {"any_": [run_id]}})
        return found

    def resume(self, run_id: str) -> None:
        """Resume a suspended run, as its menu does."""
        self.ask("POST", f"/flow_runs/{run_id}/resume", run_input={})
