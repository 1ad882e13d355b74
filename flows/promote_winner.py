"""Flow that compares models, and deploys the winner if it passes the gate."""

from typing import Annotated

from flows.bounds import BoundsForm, admit
from flows.compare_models import compare_models
from flows.deploy_endpoint import serving
from flows.direct import flow
from flows.forms import OfDeployment, titled
from flows.outcomes import finish, named_outcome, report_of
from flows.parameters import Promotion
from flows.reports import PromotionReport
from flows.spent import spent_of
from pareta_report import Decision, decide
from tasks import run_logger, shared_client, shared_ledger, spent_under, tag_run, work_lock


@flow(name="promote-winner", flow_run_name="promote {promotion.name}")
@named_outcome
async def promote_winner(
    promotion: Annotated[Promotion, OfDeployment("promotion"), titled("Promotion")],
    bounds: BoundsForm = None,
) -> PromotionReport:
    """Deploy the model that passes the policy; if no model passes, deploy nothing and report the reason.

    Args:
        promotion: Comparison and policy. Fields that are not set are those of the deployment.
        bounds: Files and dollars of a deployment that events start. None for other deployments.
    """
    promotion = admit(promotion, bounds)
    await tag_run(promotion=promotion.name)
    async with shared_client(), shared_ledger(), work_lock("promotion", promotion.name):
        account = promotion.comparisons().account
        before = await spent_under(account)
        report = await report_of(await compare_models(promotion.comparisons(), bounds, return_state=True))
        decision = decide(report.comparisons[0], promotion.policy)
        run_logger().info("%s: %s", promotion.name, decision.sentence)
        endpoint = await deploy_winner(promotion, decision)
        spent = spent_of(await spent_under(account), promotion.budget_usd, before)
    return finish(
        PromotionReport(name=promotion.name, decision=decision, endpoint=endpoint, comparisons=report, spent=spent)
    )


async def deploy_winner(promotion: Promotion, decision: Decision) -> str | None:
    """Deploy the model that passed and return the id of its endpoint; None if no model passed."""
    if decision.model is None:
        return None
    account = promotion.comparisons().account
    async with serving(promotion.deployment_of(decision.model), stop=False, account=account) as endpoint_id:
        return endpoint_id
