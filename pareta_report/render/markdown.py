"""The report as Markdown, for a Prefect artifact or a pull request."""

import re
from collections.abc import Sequence

from pareta_batch import BatchReport, quantity
from pareta_report.comparison import Comparison, MeasuredQuality, ModelScore
from pareta_report.render.text import UNKNOWN, duration, interval, money, percent, unit_cost

# Markup of Markdown and HTML at any position, and the start of an autolink (`https://…`, `www.…`, `me@…`). Names and
# error texts are untrusted.
_MARKUP = re.compile(r"([\\`*_\[\]#|<>~$&@]|:(?=//)|(?<=[Ww]{3})\.)")

# Start of a list item or a heading.
_LINE_START = re.compile(r"^(\d{0,9})([-+=.)])")


def markdown_summary(
    comparisons: Sequence[Comparison] = (),
    batch: BatchReport | None = None,
    quality: MeasuredQuality | None = None,
) -> str:
    """Return the batch in a few lines, and the verdict and the table of every comparison, as Markdown."""
    parts = [] if batch is None else _batch(batch, quality)
    for comparison in comparisons:
        parts += _comparison(comparison)
    return "\n\n".join(parts) + "\n"


def _batch(batch: BatchReport, quality: MeasuredQuality | None) -> list[str]:
    lines = [
        f"- {batch.settled:,} of {quantity(batch.total, 'row')} answered by {markdown_text(batch.model)},"
        f" {batch.failed:,} failed, {batch.pending:,} pending",
        f"- billed {markdown_text(money(batch.billed_micro_usd))} in {duration(batch.wall_s)}",
    ]
    if quality is not None:
        ci = interval(quality.ci_low, quality.ci_high)
        lines.append(
            f"- measured quality {percent(quality.accuracy)} (95 % interval {ci}), macro F1 {quality.macro_f1:.3f},"
            f" {quantity(quality.n, 'row')} with a true label, {quality.unanswered:,} unanswered and counted as wrong"
            + (f"; {quality.pending:,} pending not counted" if quality.pending else "")
        )
    lines += [f"- {markdown_text(name)}: {number:,}" for name, number in sorted(batch.errors.items())]
    return [f"## Batch {markdown_text(batch.name)}", "\n".join(lines)]


def _comparison(comparison: Comparison) -> list[str]:
    heading = f"## {markdown_text(comparison.name)}: {comparison.verdict.kind.replace('_', ' ')}"
    parts = [heading, markdown_text(comparison.verdict.sentence)]
    if comparison.verdict.against_baseline:
        parts.append(markdown_text(comparison.verdict.against_baseline))
    if comparison.scores:
        header = (
            "| model | quality | 95 % interval | rows | errors | $ per 1,000 | |\n|---|---:|---|---:|---:|---:|---|"
        )
        parts.append("\n".join([header, *map(_score, comparison.scores)]))
    return parts + [f"> {markdown_text(note)}" for note in comparison.notes]


def _score(score: ModelScore) -> str:
    cells = (
        markdown_text(score.model) + (" (frontier)" if score.kind == "frontier" else ""),
        percent(score.quality),
        interval(score.ci_low, score.ci_high),
        UNKNOWN if score.n is None else f"{score.n:,}",
        UNKNOWN if score.errors is None else f"{score.errors:,}",
        markdown_text(unit_cost(score.mean_cost_micro_usd)),
        _place(score),
    )
    return f"| {' | '.join(cells)} |"


def _place(score: ModelScore) -> str:
    if score.on_pareto_front:
        return "Pareto front"
    return f"dominated by {markdown_text(score.dominated_by)}" if score.dominated_by else ""


def markdown_text(text: str | None) -> str:
    """Return a text escaped for Markdown, on one line: no markup, link or HTML results from it."""
    one_line = " ".join("".join(each if each.isprintable() else " " for each in text or "").split())
    return _LINE_START.sub(r"\1\\\2", _MARKUP.sub(r"\\\1", one_line))
