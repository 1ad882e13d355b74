"""Eval runs: every candidate answers every row, the answers are scored, and the run is billed once."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Literal

from pareta_sandbox.faults.kinds import EvalRunFails, EvalRunHangs, Fault
from pareta_sandbox.http.errors import invalid, not_found
from pareta_sandbox.models import answerers, catalogue, scoring
from pareta_sandbox.models.roster import MODELS, Model
from pareta_sandbox.service import Service
from pareta_sandbox.state import money
from pareta_sandbox.state.eval_sets import EvalRow, EvalSet

RunStatus = Literal["queued", "running", "evaluating", "completed", "failed"]

MAX_ANSWER_TOKENS = 256  # answers are truncated to it, so that the estimate covers every answer
ROWS_AT_ONCE = 8  # divides the latency of a run
ROWS_BETWEEN_YIELDS = 16  # rows answered before other requests get the event loop
MAX_PREDICTION_CHARS = 500


class RunFailedError(Exception):
    """An eval run failed."""


@dataclass(slots=True)
class Run:
    """An eval run with its results."""

    id: str
    eval_set: EvalSet
    candidates: tuple[str, ...]
    estimate: int
    price_factor: float = 1.0
    status: RunStatus = "queued"
    error_detail: str | None = None
    total_cost: int = 0
    results: list[dict[str, object]] = field(default_factory=list)

    def record(self) -> dict[str, object]:
        """Return the run as a JSON object of the service."""
        return {
            "run": {
                "id": self.id,
                "eval_set_id": self.eval_set.id,
                "status": self.status,
                "candidate_model_ids": list(self.candidates),
                "error_detail": self.error_detail,
                "total_cost_micro_usd": self.total_cost,
            },
            "results": self.results,
        }


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of one candidate with their costs (micro-USD) and problems."""

    candidate: str
    texts: list[str]
    costs: list[int]
    problems: list[str | None]


class EvalRuns:
    """All eval runs of the organisation."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._by_id: dict[str, Run] = {}

    def get(self, run_id: str) -> Run:
        """Return one run; refuse an unknown one with 404."""
        if run_id not in self._by_id:
            raise not_found("eval run", run_id)
        return self._by_id[run_id]

    def start(
        self, eval_set: EvalSet, candidates: list[str], key: str | None, request_id: str, faults: tuple[Fault, ...]
    ) -> Run:
        """Queue a run; refuse unknown candidates with 422, and an estimate above the balance with 402."""
        distinct = tuple(dict.fromkeys(candidates))
        if not distinct:
            raise invalid(["body", "candidate_model_ids"], "at least one candidate is needed", "too_short")
        models = [self._model(eval_set, candidate) for candidate in distinct]
        factor = self._service.faults.price_factor("eval_runs", None)
        estimate = sum(self._estimate(eval_set, model, factor) for model in models)
        self._service.books.hold(estimate)
        run = Run(f"run_{self._service.next_number():08x}", eval_set, distinct, estimate, factor)
        self._by_id[run.id] = run
        self._service.books.eval_runs_created += 1
        self._service.run_in_background(self._execute(run, key, request_id, faults))
        return run

    def _model(self, eval_set: EvalSet, candidate: str) -> Model:
        if candidate in MODELS:
            return MODELS[candidate]
        if candidate in ("auto", "recommended"):
            return MODELS[catalogue.recommended(eval_set.answering_task(eval_set.rows[0]))]
        if candidate.startswith("ep_"):
            return self._service.endpoints.get(candidate).model
        raise invalid(
            ["body", "candidate_model_ids"], f"unknown candidate '{candidate}'; there are: {', '.join(MODELS)}"
        )

    def _estimate(self, eval_set: EvalSet, model: Model, factor: float) -> int:
        prompt_tokens = (money.tokens("".join(eval_set.conversation(row))) for row in eval_set.rows)
        return sum(money.multiply(model.rates.price(tokens, MAX_ANSWER_TOKENS), factor) for tokens in prompt_tokens)

    async def _execute(self, run: Run, key: str | None, request_id: str, faults: tuple[Fault, ...]) -> None:
        books = self._service.books
        try:
            with books.eval_runs_in_flight:
                answers = await self._answer_all(run, faults)
                run.status = "evaluating"
                run.results = await asyncio.to_thread(lambda: [result(run.eval_set, answered) for answered in answers])
                run.total_cost = sum(sum(answered.costs) for answered in answers)
                books.debit(run.total_cost, "eval_run", run.id, key, request_id)
                run.status = "completed"
        except RunFailedError as error:
            run.error_detail = str(error)
            run.status = "failed"
        finally:
            books.release(run.estimate)

    async def _answer_all(self, run: Run, faults: tuple[Fault, ...]) -> list[Answers]:
        await asyncio.sleep(0)
        run.status = "running"
        begun = time.monotonic()
        for fault in faults:
            match fault:
                case EvalRunHangs():
                    await asyncio.Event().wait()
                case EvalRunFails():
                    await asyncio.sleep(self._service.settings.eval_s / 2)
                    raise RunFailedError(fault.error)
                case _:
                    pass
        answers = await asyncio.gather(*(self._answer_rows(run, candidate) for candidate in run.candidates))
        await asyncio.sleep(begun + self._service.settings.eval_s - time.monotonic())
        return answers

    async def _answer_rows(self, run: Run, candidate: str) -> Answers:
        eval_set = run.eval_set
        model = self._model(eval_set, candidate)
        answered = Answers(candidate, [], [], [])
        waiting_ms = 0.0
        for number, row in enumerate(eval_set.rows):
            text, cost, problem = answer_row(eval_set, row, model, self._service.level(model, "eval_runs"))
            answered.texts.append(text)
            answered.costs.append(money.multiply(cost, run.price_factor))
            answered.problems.append(problem)
            waiting_ms += self._service.latency_ms(model, money.tokens(text))
            if number % ROWS_BETWEEN_YIELDS == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(waiting_ms / 1000 / ROWS_AT_ONCE)
        return answered


def answer_row(eval_set: EvalSet, row: EvalRow, model: Model, level: int) -> tuple[str, int, str | None]:
    """Answer a row with a model at a level.

    Returns:
        The answer, its price (micro-USD), and the problem if there is no answer.
    """
    system, user = eval_set.conversation(row)
    prompt_tokens = money.tokens(system + user)
    if row.unreadable:
        return "", 0, f"the document in '{min(row.unreadable)}' is not text, and these models read text only"
    if not model.fits(prompt_tokens):
        return "", 0, f"the prompt has {prompt_tokens} tokens; this model's context holds {model.context_k * 1_000}"
    text = answerers.reply(eval_set.answering_task(row), level, system, user)[: MAX_ANSWER_TOKENS * 4]
    return text, model.rates.price(prompt_tokens, money.tokens(text)), None


def result(eval_set: EvalSet, answered: Answers) -> dict[str, object]:
    """Score the answers of one candidate."""
    quality = scoring.measure(eval_set.strategy, answered.texts, [row.expected for row in eval_set.rows])
    # An error scores 0 and is not skipped: availability is part of the measurement.
    problems = [problem or item.error for problem, item in zip(answered.problems, quality.items, strict=True)]
    errors = sum(problem is not None for problem in problems)
    kind = MODELS[answered.candidate].kind if answered.candidate in MODELS else "open"
    scored: dict[str, object] = {
        "model_id": answered.candidate,
        "kind": kind,
        "quality_mean": round(quality.mean, 6),
        "quality_ci_low": round(quality.low, 6),
        "quality_ci_high": round(quality.high, 6),
        "mean_cost_micro_usd": round(sum(answered.costs) / len(answered.costs)),
        "n_succeeded": len(answered.texts) - errors,
        "error_count": errors,
        "per_item": [
            {
                "idx": idx,
                "score": round(item.score, 6),
                "prediction": text[:MAX_PREDICTION_CHARS],
                "error": problem,
            }
            for idx, (item, text, problem) in enumerate(zip(quality.items, answered.texts, problems, strict=True))
        ],
    }
    if quality.macro_f1 is not None:
        # In per cent, unlike quality_mean, as in the real service.
        scored["exact_match"] = round(100 * quality.exact_match, 4)
        scored["macro_f1"] = round(quality.macro_f1, 6)
    return scored
