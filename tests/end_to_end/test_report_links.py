"""The link to the report of a run of a worker, opened at the address at which its folder is served."""

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.end_to_end.conftest import House
from tests.end_to_end.test_deployments import state_of

COMPARISON = "compare-models/compare-tickets"


class Served(SimpleHTTPRequestHandler):
    """Serves files, and prints nothing."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(house: House) -> Iterator[str]:
    """Serve the working folder of the worker, and yield its URL."""
    handler = partial(Served, directory=str(house.folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        serving.join()


@pytest.mark.long
def test_the_link_of_a_comparison_opens_its_report(house: House, served: str) -> None:
    own = house.prefect.deployment(COMPARISON)["parameters"]["comparisons"]
    work = {**own, "name": "linked", "report": "reports/of the team/models 50%.html"}
    run = house.prefect.run(COMPARISON, environment={"PARETA_REPORTS_URL": served}, comparisons=work)
    ended = house.prefect.ended(run["id"], within_s=300)
    assert state_of(ended) == ("COMPLETED", "Completed"), ended["state"]
    assert "linked-report" in house.prefect.artifacts(run["id"])
    (link,) = re.findall(r"\[HTML report\]\((.*)\)", house.prefect.artifact("linked-report"))
    assert link == f"{served}reports/of%20the%20team/models%2050%25.html"
    assert link in ended["state"]["message"]
    opened = httpx.get(link, timeout=30)
    assert (opened.status_code, opened.content) == (200, (house.folder / work["report"]).read_bytes())
    assert "<html" in opened.text
    assert "wren-1" in opened.text
