"""What a person finds with a run that has ended."""

import base64
from pathlib import Path

import pytest
from prefect import flow
from prefect.artifacts import Artifact as Artifacts
from prefect.client.schemas.objects import Artifact

from flows.compare_models import compare_models
from pareta_batch import PACKAGE, running_version
from pareta_report import markdown_text
from pareta_sandbox.faults.kinds import EvalRunFails
from pareta_sandbox.testing import Sandbox
from tasks.artifacts import artifact_key, made_by, publish_batch
from tasks.report_address import address_of, report_url
from tests.flows.test_compare_models import comparisons
from tests.flows.test_outcomes import report


async def found(key: str) -> Artifact | None:
    artifact: Artifact | None = await Artifacts.aget(key=key)
    return artifact


@pytest.mark.parametrize(("name", "key"), [("Tickets_2026.11", "tickets-2026-11-batch"), ("a..b-", "a-b-batch")])
def test_a_key_has_only_what_prefect_takes(name: str, key: str) -> None:
    assert artifact_key(name, "batch") == key


async def test_a_comparison_leaves_table_verdicts_plot_and_report(pareta: Sandbox, tmp_path: Path) -> None:
    work = comparisons(tmp_path, "drawn")
    await compare_models(work)
    kinds = {end: await found(f"sentiment-{end}") for end in ("comparison", "verdicts", "drawn-plot", "report")}
    assert all(artifact is not None and artifact.description for artifact in kinds.values())
    plot = kinds["drawn-plot"]
    assert plot is not None
    _, _, encoded = str(plot.data).partition("base64,")
    assert base64.b64decode(encoded.removesuffix(")")).lstrip().startswith(b"<svg")
    # Report and verdicts name the code that made them.
    assert f"<dt>code</dt><dd>{PACKAGE} {running_version()}</dd>" in Path(work.report_path).read_text()
    assert kinds["verdicts"] is not None
    assert f"made by {markdown_text(made_by())}" in str(kinds["verdicts"].data)


async def test_a_comparison_that_failed_has_no_plot(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(EvalRunFails(times=1))
    await compare_models(comparisons(tmp_path, "not-drawn"), return_state=True)
    assert await found("sentiment-not-drawn-plot") is None


async def test_a_batch_leaves_its_table_and_its_summary(prefect_server: None) -> None:
    @flow
    async def publishing() -> None:
        await publish_batch(report(failed=2))

    await publishing()
    table, summary = await found("reviews-batch"), await found("reviews-summary")
    assert table is not None
    assert summary is not None
    assert "BadRequestError" in f"{table.data}{summary.data}"
    assert f"made by {markdown_text(made_by())}" in str(summary.data)


@pytest.mark.parametrize(
    ("prefix", "path", "url"),
    [
        ("https://files.example/pareta/", "reports/a b.html", "https://files.example/pareta/reports/a%20b.html"),
        ("https://files.example/pareta", "answers/x.html", "https://files.example/pareta/answers/x.html"),
        ("https://files.example", "../elsewhere.html", None),
        ("file:///reports", "reports/x.html", None),
        ("", "reports/x.html", None),
    ],
)
def test_a_report_under_the_working_folder_has_the_url_of_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str, path: str, url: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARETA_REPORTS_URL", prefix)
    assert report_url(path) == url
    assert address_of(path) == (url or path)


async def test_a_report_is_linked_for_a_browser(
    pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARETA_REPORTS_URL", "https://files.example/pareta")
    state = await compare_models(comparisons(tmp_path, "linked"), return_state=True)
    report = (await state.aresult()).report
    shown = f"https://files.example/pareta/{Path(report).resolve().relative_to(Path.cwd().resolve())}"
    artifact = await found("sentiment-report")
    assert artifact is not None
    assert f"]({shown})" in str(artifact.data)
    assert shown in str(state.message)
