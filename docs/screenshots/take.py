"""Generator of the screenshots in this folder: `python docs/screenshots/take.py`; it needs chromium on the PATH.

Starts a Prefect server with its UI, a worker and a sandbox, runs the flows, and takes a screenshot of each page.
"""

import base64
import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from websockets.sync.client import ClientConnection, connect

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT))

from pareta_sandbox.testing import Sandbox, Status, attach  # noqa: E402
from tests.end_to_end.conftest import PARTS  # noqa: E402
from tests.end_to_end.prefect_api import PrefectApi  # noqa: E402
from tests.end_to_end.processes import Processes, processes, until  # noqa: E402

KEY = "pareta_sk_screenshots"
PIPELINE = "run-pipeline/pipeline-tickets"
BATCH = "complete-batch/complete-tickets"
CHROMIUM = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    # Without it a screenshot can show a page that is fading in.
    "--force-prefers-reduced-motion",
    "--run-all-compositor-stages-before-draw",
)
APPROVAL_FORM = "approval-form"
"""The picture that is taken after a click on Resume."""
CLICK = """(() => {
  const button = [...document.querySelectorAll("button")].find(each => each.textContent.trim() === "%s");
  if (button) button.click();
  return Boolean(button);
})()"""
FORM_SHOWN = "document.body.innerText.includes('New ceiling')"
PAGES_SETTLE_MS = 20_000
COLOURS = 64  # enough for flat pages, at a third of the file size


def main() -> None:
    """Run the flows and take every screenshot."""
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        folder = home / "project"
        for part in PARTS:
            shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(PROJECT / "prefect.yaml", folder)
        ui, service = free_port(), free_port()
        with processes(home, **environment(home, ui, service)) as started:
            prefect, sandbox = start_services(started, folder, ui, service)
            pictures = run_flows(prefect, sandbox)
            for name, (path, height) in pictures.items():
                url, file = f"http://127.0.0.1:{ui}{path}", PROJECT / f"docs/screenshots/{name}.png"
                if name == APPROVAL_FORM:
                    take_after_click(url, ("Resume",), file, height, home)
                else:
                    take(url, file, height, home)
                shrink(file)


def environment(home: Path, ui: int, service: int) -> dict[str, str]:
    """Return the environment of all started processes."""
    return {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_PROFILES_PATH": str(home / "prefect" / "profiles.toml"),
        "PREFECT_API_URL": f"http://127.0.0.1:{ui}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PARETA_API_KEY": KEY,
        "PARETA_BASE_URL": f"http://127.0.0.1:{service}",
        "PARETA_LEDGER_URL": f"sqlite:///{home}/ledger.db",
        "MPLCONFIGDIR": str(home / "matplotlib"),
    }


def start_services(started: Processes, folder: Path, ui: int, service: int) -> tuple[PrefectApi, Sandbox]:
    """Start the sandbox, the server and a worker, and set up the server."""
    options = ("--deploy-s", "1", "--cold-start-s", "0.2", "--eval-s", "0.5", "--latency-ms", "20")
    started.start("sandbox", "python", "-m", "pareta_sandbox", "--port", str(service), *options, folder=PROJECT)
    started.start("server", "prefect", "server", "start", "--port", str(ui), folder=folder)
    prefect = PrefectApi(f"http://127.0.0.1:{ui}/api")
    until(prefect.healthy, within_s=120, what=f"a Prefect server; see {started.log('server')}")
    started.run("pareta-pipeline", "set-up", "--limit", "auto=64", folder=folder)
    started.start("worker", "prefect", "worker", "start", "--pool", "pareta", folder=folder)
    return prefect, attach(f"http://127.0.0.1:{service}", KEY)


def run_flows(prefect: PrefectApi, sandbox: Sandbox) -> dict[str, tuple[str, int]]:
    """Run the flows; return the path and the height in pixels of the page of each screenshot."""
    prefect.ended(prefect.run(PIPELINE, on_empty_balance="fail")["id"], within_s=180)
    finished = prefect.runs_named("pipeline tickets")[0]["id"]
    sandbox.inject(Status(status=402, skip=6))
    failed = prefect.ended(prefect.run(BATCH, on_empty_balance="fail")["id"])["id"]
    sandbox.clear_faults()
    sandbox.inject(Status(status=402, skip=6))
    own = prefect.deployment(BATCH)["parameters"]["batch"]
    suspended = prefect.run(BATCH, batch={**own, "name": "suspended"})["id"]
    prefect.in_state(suspended, "Suspended")
    asked = prefect.run(BATCH, batch={**own, "name": "large", "approve_above_usd": 0})["id"]
    prefect.in_state(asked, "AwaitingApproval")
    deployment = prefect.deployment(PIPELINE)["id"]
    return {
        "deployments": ("/deployments", 950),
        "deployment": (f"/deployments/deployment/{deployment}", 900),
        "run-form": (f"/deployments/deployment/{deployment}/run", 1900),
        "finished-run": (f"/runs/flow-run/{finished}", 1200),
        "artifacts": ("/artifacts", 1150),
        "plot": (f"/artifacts/artifact/{artifact(prefect, 'tickets-models-tickets-plot')}", 650),
        "failed-run": (f"/runs/flow-run/{failed}", 1650),
        "pipeline-page": (f"/artifacts/artifact/{artifact(prefect, 'tickets-pipeline')}", 1400),
        "suspended-run": (f"/runs/flow-run/{suspended}", 900),
        APPROVAL_FORM: (f"/runs/flow-run/{asked}", 1000),
    }


def artifact(prefect: PrefectApi, key: str) -> str:
    """Return the id of an artifact."""
    (found,) = prefect.ask("POST", "/artifacts/filter", artifacts={"key": {"any_": [key]}})
    return str(found["id"])


def take(url: str, file: Path, height: int, home: Path) -> None:
    """Take a screenshot of a page after it has settled."""
    profile = tempfile.mkdtemp(dir=home)
    where = [f"--user-data-dir={profile}", f"--window-size=1280,{height}", f"--screenshot={file}"]
    subprocess.run(  # noqa: S603 - a page of our own server
        [browser(), *CHROMIUM, *where, f"--virtual-time-budget={PAGES_SETTLE_MS}", url],
        check=True,
        timeout=120,
        stderr=subprocess.DEVNULL,
    )


def take_after_click(url: str, labels: Sequence[str], file: Path, height: int, home: Path) -> None:
    """Take a screenshot of a page after clicks on its buttons, by the protocol of Chromium's developer tools."""
    profile = Path(tempfile.mkdtemp(dir=home))
    where = (f"--user-data-dir={profile}", f"--window-size=1280,{height}", "--remote-debugging-port=0", url)
    with subprocess.Popen([browser(), *CHROMIUM, *where], stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            port_file = profile / "DevToolsActivePort"
            until(lambda: port_file.exists() or None, within_s=60, what="Chromium")
            port = port_file.read_text().splitlines()[0]
            pages = until(lambda: httpx.get(f"http://127.0.0.1:{port}/json/list").json(), within_s=60, what="a page")
            (page,) = [each for each in pages if each["type"] == "page"]
            with connect(page["webSocketDebuggerUrl"], max_size=None) as tools:
                for label in labels:
                    until(lambda label=label: evaluate(tools, CLICK % label), within_s=60, what=f"a button {label}")
                until(lambda: evaluate(tools, FORM_SHOWN), within_s=60, what="the form")
                data = call(tools, "Page.captureScreenshot")["data"]
        finally:
            process.terminate()
    file.write_bytes(base64.b64decode(data))


def evaluate(tools: ClientConnection, script: str) -> object:
    """Return the value of a script on the page."""
    return call(tools, "Runtime.evaluate", expression=script)["result"].get("value")


def call(tools: ClientConnection, method: str, **parameters: object) -> dict[str, Any]:
    """Call a method of the developer tools, and return its result."""
    tools.send(json.dumps({"id": 1, "method": method, "params": parameters}))
    while (answer := json.loads(tools.recv())).get("id") != 1:
        continue
    result: dict[str, Any] = answer["result"]
    return result


def browser() -> str:
    """Return the path of Chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        raise SystemExit("chromium not found on the PATH; install it")
    return found


def shrink(file: Path) -> None:
    """Reduce the colours of a picture."""
    with Image.open(file) as picture:
        picture.quantize(COLOURS).save(file, optimize=True)


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
