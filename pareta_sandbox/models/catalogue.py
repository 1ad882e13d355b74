"""The tasks on offer, and the leaderboard of each, computed by letting every model do the task's sample."""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pareta_sandbox.models import answerers
from pareta_sandbox.models.roster import BASELINE, MODELS, OPEN, Kind, Model
from pareta_sandbox.models.scoring import Expected, Quality, Strategy, measure
from pareta_sandbox.state import money

EXTRACT = (
    "Read the contract or licence text. Answer with one JSON object with the fields copyright_holder, year, "
    "effective_date and governing_law; use null for what the text does not say. Write dates as YYYY-MM-DD and the "
    "first year of a range. No other text."
)


@dataclass(frozen=True, slots=True)
class Task:
    """A kind of work: what it is, how it is scored, and the words it is asked with."""

    id: str
    title: str
    scorer: Strategy
    prompt: str
    keywords: tuple[str, ...]
    extraction: bool = False
    has_blob_input: bool = False

    @property
    def system_prompt(self) -> str | None:
        """The system prompt an endpoint injects when there is none: extraction tasks only."""
        return self.prompt if self.extraction else None

    @property
    def scaffold(self) -> str | None:
        """The prompt to copy and adapt: classification tasks only, because their labels are the caller's."""
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
    """One labelled example of a task."""

    document: str
    expected: Expected


@dataclass(frozen=True, slots=True)
class Standing:
    """How one model did on a task's sample."""

    model: Model
    quality: Quality
    cost_per_request_micro_usd: int

    @property
    def kind(self) -> Kind:
        return self.model.kind


@cache
def sample(task: str) -> tuple[Row, ...]:
    """Return a task's labelled sample."""
    lines = (
        resources.files("pareta_sandbox.models")
        .joinpath(f"samples/{task}.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    rows = map(json.loads, lines)
    return tuple(Row(row["input"]["document"], row["expected"]) for row in rows)


@cache
def leaderboard(task: str) -> tuple[Standing, ...]:
    """Let every model do the task's sample, and rank them by quality, then by cost."""
    standings = [standing(TASKS[task], model) for model in MODELS.values()]
    return tuple(sorted(standings, key=lambda s: (-s.quality.mean, s.cost_per_request_micro_usd)))


@cache
def recommended(task: str) -> str:
    """Return the cheapest open model whose interval reaches the best open model's quality."""
    opens = [standing for standing in leaderboard(task) if standing.kind == "open"]
    best = max(standing.quality.mean for standing in opens)
    good_enough = [standing for standing in opens if standing.quality.high >= best]
    return min(good_enough, key=lambda standing: standing.cost_per_request_micro_usd).model.id


def standing(task: Task, model: Model) -> Standing:
    """Let one model do a task's sample."""
    rows = sample(task.id)
    prompts = [f"{task.prompt}\n\n{row.document}" for row in rows]
    answers = [answerers.reply(task.id, model.level, "", prompt) for prompt in prompts]
    prices = [
        model.rates.price(money.tokens(prompt), money.tokens(answer))
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    quality = measure(task.scorer, answers, [row.expected for row in rows])
    return Standing(model, quality, round(sum(prices) / len(prices)))


def scores(query: str) -> list[tuple[str, float]]:
    """Rank the tasks by the share of a query's telling words that they know, from 0 to 1."""
    text = query.lower()
    hits = {task.id: sum(word in text for word in task.keywords) for task in TASKS.values()}
    ranked = [(task, round(1 - 0.5**count, 3)) for task, count in hits.items() if count]
    return sorted(ranked, key=lambda pair: (-pair[1], pair[0]))


def confidence(score: float) -> str:
    """Say a match score in a word."""
    if score >= 0.75:
        return "high"
    return "medium" if score >= 0.5 else "low"


def routed(prompt: str) -> str:
    """Return the task `auto` takes a prompt for, from its beginning and its end; extraction when nothing tells."""
    ranked = scores(f"{prompt[:600]}\n{prompt[-300:]}")
    return ranked[0][0] if ranked else "contract-extraction"


def is_open(model_id: str) -> bool:
    """Tell whether an id is an open model's alias."""
    return any(model.id == model_id for model in OPEN)


def baseline_price(prompt_tokens: int, completion_tokens: int) -> int:
    """Return what the frontier baseline would have cost for the same tokens."""
    return BASELINE.rates.price(prompt_tokens, completion_tokens)
