"""A goal of the benchmark, and the figures that were measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One row of the table; `met` None: a figure without a goal."""

    scenario: str
    measured: str
    goal: str
    met: bool | None

    @property
    def cells(self) -> list[str]:
        """The cells of the table."""
        return [self.scenario, self.measured, self.goal, {True: "yes", False: "no", None: ""}[self.met]]
