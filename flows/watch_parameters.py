"""Parameters of the flow that watches the quality of models."""

from pydantic import ConfigDict, Field

from pareta_batch import NO_TAGS, Account, BudgetUsd, CredentialsName, LocalPath, Name, Spec, TagsField
from pareta_evals import Comparisons, ComparisonSpec, RunWait


class Watch(Spec):
    """Models to score repeatedly on the same rows."""

    model_config = ConfigDict(title="Watch")

    name: Name = Field(description="Name of the series; the same name continues the same series")
    comparison: ComparisonSpec = Field(title="Comparison", description="The models to watch, and the rows")
    wait_s: RunWait = 3600.0
    budget_usd: BudgetUsd = Field(
        None,
        description="Maximum dollars for this watch, in all runs together",
    )
    plot: LocalPath | None = Field(
        None, title="Plot", description="Plot (SVG) of the series; by default reports/NAME-quality.svg"
    )
    tags: TagsField = NO_TAGS
    credentials: CredentialsName = None

    def comparisons(self) -> Comparisons:
        """Return the comparison that one run of the watch buys."""
        return Comparisons(
            name=self.name, comparisons=(self.comparison,), wait_s=self.wait_s, credentials=self.credentials
        )

    @property
    def account(self) -> Account:
        """Account of the eval runs, with the budget."""
        return Account(f"watch/{self.name}", self.budget_usd, self.tags)

    @property
    def plot_path(self) -> str:
        """Path of the plot of the series."""
        return self.plot or f"reports/{self.name}-quality.svg"
