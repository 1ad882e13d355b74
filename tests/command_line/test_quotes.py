"""`pareta-pipeline quote` takes the spec of every command that spends, and spends nothing itself."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pareta_batch.ledger.ledger import Ledger
from pareta_cli.app import app
from pareta_client import AsyncPareta, Pareta
from pareta_evals.runner import EvalRunner
from pareta_evals.spec import ComparisonSpec
from pareta_sandbox.testing import Sandbox, running
from tests.batch.test_eval_runner import scored
from tests.flows.datasets import batch, write_rows

TASK = "sentiment-classification"


@pytest.fixture(autouse=True)
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A service to ask, reached through the environment as users do."""
    monkeypatch.chdir(tmp_path)
    with running() as sandbox:
        monkeypatch.setenv("PARETA_API_KEY", sandbox.api_key)
        monkeypatch.setenv("PARETA_BASE_URL", sandbox.base_url)
        monkeypatch.setenv("PARETA_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
        yield sandbox


def comparison(folder: Path) -> dict[str, object]:
    rows = write_rows(folder / "eval.jsonl", [{"input": f"I love it ({n})", "expected": "positive"} for n in range(20)])
    return {"name": "sentiment", "task": TASK, "rows": rows, "models": ["wren-1", "heron-2"]}


def pipeline(folder: Path, **fields: object) -> dict[str, Any]:
    work = batch(folder).model_dump(mode="json", exclude={"name", "model", "approve_above_usd", "credentials"})
    return {"name": "reviews", "task": TASK, "batch": work, "comparisons": [comparison(folder)]} | fields


def quote(spec: Mapping[str, object], *options: str) -> Result:
    path = Path("spec.json")
    path.write_text(json.dumps(spec), encoding="utf-8")
    return CliRunner().invoke(app, ["quote", str(path), *options])


def told(spec: Mapping[str, object], *options: str) -> Any:
    ended = quote(spec, *options, "--json")
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


async def buy(spec: ComparisonSpec) -> None:
    async with AsyncPareta.from_env() as pareta:
        ledger = Ledger.open()
        await scored(EvalRunner(spec, pareta, ledger))
        ledger.close()


def asked_nothing_but_questions(service: Sandbox) -> None:
    books = service.books()
    assert {route.split()[0] for route in books.requests} == {"GET"}
    assert books.debited_micro_usd == 0


def test_a_pipeline_costs_its_batch_on_the_model_to_be_deployed_and_its_comparisons(
    service: Sandbox, tmp_path: Path
) -> None:
    wanted = told(pipeline(tmp_path, model="heron-2"))
    with Pareta.from_env() as client:
        (price,) = [m.cost_per_request_micro_usd for m in client.tasks.leaderboard(TASK).models if m.name == "heron-2"]
    assert (wanted["batch"]["to_send"], wanted["batch"]["likely_micro_usd"]) == (12, 12 * (price or 0))
    assert set(wanted["comparisons"]["comparisons"][0]["models"]) == {"wren-1", "heron-2", "summit-mini", "summit-pro"}
    parts = (wanted["batch"], wanted["comparisons"])
    for end in ("low_micro_usd", "likely_micro_usd", "high_micro_usd"):
        assert wanted[end] == sum(part[end] for part in parts)
    asked_nothing_but_questions(service)


def test_a_pipeline_says_which_model_is_recommended_and_that_it_will_be_deployed(tmp_path: Path) -> None:
    with Pareta.from_env() as client:
        recommended = client.tasks.recommended(TASK)
    lines = quote(pipeline(tmp_path)).stdout.splitlines()
    assert lines[0] == f"reviews: an endpoint will be deployed, with {recommended}"
    assert lines[-1].startswith("reviews in all: about $")
    assert lines[-1].endswith(", and a smoke call")


def test_a_pipeline_whose_endpoint_is_there_counts_what_it_answered_already(service: Sandbox, tmp_path: Path) -> None:
    with Pareta.from_env() as client:
        endpoint = client.endpoints.deploy(task=TASK, model="wren-2", name="reviews", wait=True)
    spec = pipeline(tmp_path, comparisons=[])
    path = tmp_path / "batch.json"
    path.write_text(json.dumps({**spec["batch"], "name": "reviews", "model": endpoint.id}))
    assert CliRunner().invoke(app, ["quote", str(path), "--pilot", "6"]).exit_code == 0
    wanted = told(spec)
    assert (wanted["endpoint"], wanted["model"]) == (endpoint.id, "wren-2")
    assert (wanted["batch"]["to_send"], wanted["batch"]["basis"]) == (6, "receipts")
    assert service.books().completions == 6


def test_a_pipeline_on_auto_deploys_nothing_and_knows_no_cost_before_a_receipt(tmp_path: Path) -> None:
    ended = quote(pipeline(tmp_path, model="auto", task=None))
    assert "deployed" not in ended.stdout
    assert ended.stdout.splitlines()[-1] == "reviews in all: not known"


def test_a_promotion_costs_its_comparison_and_says_what_each_candidate_costs_once_it_serves(
    service: Sandbox, tmp_path: Path
) -> None:
    spec = {"name": "sentiment", "comparison": comparison(tmp_path), "policy": {}}
    wanted = told(spec)
    models = wanted["comparison"]["comparisons"][0]["models"]
    assert {model: 20 * cost for model, cost in wanted["request_micro_usd"].items()} == {
        model: models[model] for model in ("wren-1", "heron-2")
    }
    assert "1,000 requests to its endpoint cost: wren-1 $" in quote(spec).stdout
    asked_nothing_but_questions(service)


def test_a_watch_costs_one_occasion_on_which_nothing_is_reused(service: Sandbox, tmp_path: Path) -> None:
    bought = ComparisonSpec.model_validate(comparison(tmp_path))
    asyncio.run(buy(bought))
    before = service.books()
    spec = {"name": "sentiment", "comparison": comparison(tmp_path), "plot": "series.svg"}
    assert told({"name": "sentiment", "comparisons": [comparison(tmp_path)]})["comparisons"][0]["paid_for"]
    wanted = told(spec)
    (occasion,) = wanted["occasion"]["comparisons"]
    assert (occasion["paid_for"], occasion["reused"]) == (None, {})
    assert set(occasion["models"]) == {"wren-1", "heron-2", "summit-mini", "summit-pro"}
    assert quote(spec).stdout.endswith("sentiment: the same cost for each run\n")
    assert service.books().debited_micro_usd == before.debited_micro_usd
    assert service.books().eval_runs_created == before.eval_runs_created


def test_a_spec_that_fits_watch_and_promote_alike_is_refused_until_it_is_said_which(tmp_path: Path) -> None:
    spec = {"name": "sentiment", "comparison": comparison(tmp_path)}
    refused = quote(spec)
    assert (refused.exit_code, "--for watch or --for promote" in refused.stderr) == (2, True)
    assert "occasion" in told(spec, "--for", "watch")
    assert "request_micro_usd" in told(spec, "--for", "promote")


def test_a_command_that_spends_nothing_has_no_quote(tmp_path: Path) -> None:
    refused = quote(comparison(tmp_path), "--for", "status")
    assert (refused.exit_code, "one of complete, compare, promote, watch, run" in refused.stderr) == (2, True)


def test_only_a_batch_has_a_pilot(service: Sandbox, tmp_path: Path) -> None:
    refused = quote(pipeline(tmp_path), "--pilot", "3")
    assert (refused.exit_code, "--pilot 3: the spec is not a batch; remove --pilot" in refused.stderr) == (2, True)
    assert service.books().requests == {}


def test_bad_rows_of_a_pipeline_are_named_before_anything_is_asked(tmp_path: Path) -> None:
    spec = pipeline(tmp_path)
    spec["batch"] |= {"prompt": "{words}"}
    refused = quote(spec)
    assert (refused.exit_code, "no column 'words'" in refused.stderr) == (2, True)


def test_a_comparison_is_planned_by_what_each_number_of_rows_shows_and_costs(tmp_path: Path) -> None:
    spec = {"name": "c", "comparisons": [comparison(tmp_path) | {"margin": 0.05}]}
    (planned,) = told(spec)["comparisons"]
    sizes = planned["plan"]
    assert [size["rows"] for size in sizes][:3] == [20, 40, 80]
    assert sizes[-1]["passes"] >= 0.8, "the last size is one that passes in four of five cases"
    shows = [size["shows"] for size in sizes]
    assert shows == sorted(shows, reverse=True)
    assert sizes[1]["likely_micro_usd"] == pytest.approx(2 * sizes[0]["likely_micro_usd"], abs=1)
    lines = quote(spec).stdout
    assert "  80 rows: shows " in lines
    assert "points, passes the gate at M = 5 with " in lines
    assert "if the two models disagree on 20 % of the rows" in lines


def test_the_plan_of_a_promotion_is_for_the_margin_of_its_policy(tmp_path: Path) -> None:
    promotion = {"name": "p", "comparison": comparison(tmp_path), "policy": {"max_loss": 0.1}}
    (planned,) = told(promotion)["comparison"]["comparisons"]
    assert planned["margin"] == 0.1


def test_rows_that_belong_together_are_planned_as_groups(tmp_path: Path) -> None:
    rows = write_rows(
        tmp_path / "pages.jsonl", [{"input": f"page {n}", "expected": "a", "doc": str(n // 4)} for n in range(20)]
    )
    spec = {"name": "c", "comparisons": [comparison(tmp_path) | {"rows": rows, "group_column": "doc"}]}
    assert "(else read groups for rows)" in quote(spec).stdout
