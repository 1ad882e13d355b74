"""Flow that scores candidates and baselines on every eval set concurrently, and reports the winner."""

from typing import Annotated

from flows.approval import approved
from flows.bounds import BoundsForm, admit
from flows.direct import flow
from flows.forms import OfDeployment, titled
from flows.outcomes import finish, named_outcome
from flows.pages import comparison_page
from flows.quoter import quote_comparisons_of
from flows.reports import ComparisonReport
from flows.spent import spent_of
from pareta_evals import Comparisons
from tasks import check_report, publish_comparisons, publish_page, run_comparisons, spent_under


@flow(name="compare-models", flow_run_name="compare {comparisons.name}")
@named_outcome
async def compare_models(
    comparisons: Annotated[Comparisons, OfDeployment("comparisons"), titled("Comparisons")], bounds: BoundsForm = None
) -> ComparisonReport:
    """Run the comparisons concurrently within their limit, and report failed ones with the others.

    Args:
        comparisons: Models to compare on the same rows. Fields that are not set are those of the deployment.
        bounds: Files and dollars of a deployment that events start. None for other deployments.
    """
    comparisons = admit(comparisons, bounds)
    check_report(comparisons.report_path, exports=True)
    comparisons = await approved(comparisons, bounds, lambda: quote_comparisons_of(comparisons))
    before = await spent_under(comparisons.account)
    results = await run_comparisons(comparisons)
    await publish_comparisons(comparisons.name, results)
    page = comparison_page(comparisons, results)
    report = await publish_page(comparisons.name, page, comparisons.report_path)
    spent = spent_of(await spent_under(comparisons.account), comparisons.budget_usd, before)
    return finish(ComparisonReport(name=comparisons.name, comparisons=results, report=report, spent=spent))
