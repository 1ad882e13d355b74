"""Tasks of the service, and the leaderboard of each task, measured on its sample."""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pareta_sandbox.models import answerers
from pareta_sandbox.models.roster import MODELS, Kind, Model
from pareta_sandbox.models.scoring import Expected, Quality, Strategy, measure
from pareta_sandbox.state import money

EXTRACT = (
    "Read the contract or licence text. Answer with one JSON object with the fields copyright_holder, year, "
    "effective_date and governing_law; use null for what the text does not say. Write dates as YYYY-MM-DD and the "
    "first year of a range. No other text."
)


@dataclass(frozen=True, slots=True)
class Task:
    """A task: its prompt, its scorer, and the keywords that identify it in a query."""

    id: str
    title: str
    scorer: Strategy
    prompt: str
    keywords: tuple[str, ...]
    extraction: bool = False
    has_blob_input: bool = False

    @property
    def system_prompt(self) -> str | None:
        """The system prompt that an endpoint adds to a request without one: extraction tasks only."""
        return self.prompt if self.extraction else None

    @property
    def scaffold(self) -> str | None:
        """A prompt template to adapt: classification tasks only, because the client defines the labels."""
        return None if self.extraction else self.prompt


TASKS = {
    task.id: task
    for task in (
        Task(
            "license-identification",
            "Which SPDX licence is this text?",
            "exact_match",
            "Which licence is this? Answer with its SPDX identifier only.",
            ("license", "licence", "spdx", "open source", "copyleft"),
        ),
        Task(
            "contract-extraction",
            "Read the fields of a contract or licence text",
            "field_f1",
            EXTRACT,
            ("contract", "extract", "agreement", "copyright", "holder", "effective", "governing", "fields", "year"),
            extraction=True,
            has_blob_input=True,
        ),
        Task(
            "sentiment-classification",
            "Is a review positive, negative or neutral?",
            "macro_f1",
            "Is this review positive, negative or neutral? Answer with one word.",
            ("sentiment", "review", "positive", "negative", "neutral", "opinion", "feedback"),
        ),
        Task(
            "support-ticket-routing",
            "Which team should a support ticket go to?",
            "macro_f1",
            "Which team should handle this ticket? Answer with one of: billing, technical, account, shipping, sales.",
            ("ticket", "support", "route", "routing", "team", "helpdesk", "queue", "customer"),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled example of a task."""

    document: str
    expected: Expected


@dataclass(frozen=True, slots=True)
class LeaderboardEntry:
    """Quality and cost of one model on the sample of a task."""

    model: Model
    quality: Quality
    cost_per_request_micro_usd: int

    @property
    def kind(self) -> Kind:
        return self.model.kind


@cache
def sample(task: str) -> tuple[Row, ...]:
    """Return the labelled sample of a task."""
    lines = (
        resources.files("pareta_sandbox.models")
        .joinpath(f"samples/{task}.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    rows = map(json.loads, lines)
    return tuple(Row(row["input"]["document"], row["expected"]) for row in rows)


@cache
def leaderboard(task: str) -> tuple[LeaderboardEntry, ...]:
    """Evaluate every model on the sample of a task, and rank by quality, then by cost."""
    entries = [evaluate(TASKS[task], model) for model in MODELS.values()]
    return tuple(sorted(entries, key=lambda s: (-s.quality.mean, s.cost_per_request_micro_usd)))


@cache
def recommended(task: str) -> str:
    """Return the cheapest open model whose confidence interval reaches the best quality of an open model."""
    entries = [entry for entry in leaderboard(task) if entry.kind == "open"]
    best = max(entry.quality.mean for entry in entries)
    good_enough = [entry for entry in entries if entry.quality.high >= best]
    return min(good_enough, key=lambda entry: entry.cost_per_request_micro_usd).model.id


def evaluate(task: Task, model: Model) -> LeaderboardEntry:
    """Evaluate one model on the sample of a task."""
    rows = sample(task.id)
    prompts = [f"{task.prompt}\n\n{row.document}" for row in rows]
    answers = [answerers.reply(task.id, model.level, "", prompt) for prompt in prompts]
    prices = [
        model.rates.price(money.tokens(prompt), money.tokens(answer))
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    quality = measure(task.scorer, answers, [row.expected for row in rows])
    return LeaderboardEntry(model, quality, round(sum(prices) / len(prices)))


def scores(query: str) -> list[tuple[str, float]]:
    """Rank the tasks that match a query, by score: 1 - 0.5 ** (number of keywords found)."""
    text = query.lower()
    hits = {task.id: sum(word in text for word in task.keywords) for task in TASKS.values()}
    ranked = [(task, round(1 - 0.5**count, 3)) for task, count in hits.items() if count]
    return sorted(ranked, key=lambda pair: (-pair[1], pair[0]))


def confidence(score: float) -> str:
    """Return the confidence level of a match score."""
    if score >= 0.75:
        return "high"
    return "medium" if score >= 0.5 else "low"


def route_task(prompt: str) -> str:
    """Return the task of a prompt for `auto`, by keywords at its beginning and end; default: extraction."""
    ranked = scores(f"{prompt[:600]}\n{prompt[-300:]}")
    return ranked[0][0] if ranked else "contract-extraction"
