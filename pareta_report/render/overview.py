"""Overview of several comparisons: one row per model, one column per comparison."""

from collections.abc import Sequence
from dataclasses import dataclass

from pareta_report.comparison import Comparison, ModelScore


@dataclass(frozen=True, slots=True)
class Cell:
    """One model in one comparison; `leads` if it is the best one or not distinguishable from it."""

    score: ModelScore
    leads: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One model across all comparisons; a cell is None if the model was not scored."""

    model: str
    frontier: bool
    cells: tuple[Cell | None, ...]

    @property
    def led(self) -> int:
        """Number of comparisons in which it leads or is not distinguishable from the leader."""
        return sum(cell.leads for cell in self.cells if cell is not None)


@dataclass(frozen=True, slots=True)
class Overview:
    """The comparisons with scores, by index on the page, and a line per model, the most frequent leader first."""

    places: tuple[int, ...]
    lines: tuple[Line, ...]


def overview(comparisons: Sequence[Comparison]) -> Overview | None:
    """Return the overview, or None if no model is in two comparisons."""
    scored = {place: c for place, c in enumerate(comparisons) if any(s.quality is not None for s in c.scores)}
    models = {s.model: s for c in scored.values() for s in c.scores if s.quality is not None}
    lines = [_line(model, score.kind == "frontier", tuple(scored.values())) for model, score in models.items()]
    if not any(sum(cell is not None for cell in line.cells) > 1 for line in lines):
        return None
    return Overview(tuple(scored), tuple(sorted(lines, key=lambda line: (-line.led, -_mean(line), line.model))))


def _line(model: str, frontier: bool, comparisons: Sequence[Comparison]) -> Line:
    return Line(model, frontier, tuple(_cell(model, comparison) for comparison in comparisons))


def _cell(model: str, comparison: Comparison) -> Cell | None:
    score = next((s for s in comparison.scores if s.model == model and s.quality is not None), None)
    if score is None:
        return None
    behind = {pair.other for pair in comparison.differences if pair.distinguishable}
    return Cell(score, leads=bool(comparison.differences) and model not in behind)


def _mean(line: Line) -> float:
    qualities = [cell.score.quality or 0.0 for cell in line.cells if cell is not None]
    return sum(qualities) / len(qualities)
