"""The programs of the service's documentation, for any client: `python programs.py MODULE SUITE BASE_URL API_KEY`.

Prints one JSON object: for each program what it found, without ids and times, or the class of what it raised. It runs
in an environment that has only the SDK, so all it imports of ours are the programs of `troubles`.
"""

import asyncio
import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

from tests.client.sdks.troubles import SHARED_STATUSES, DeployTroubles, Sandbox, Troubles, told

# Clients of several packages pass through here, so their objects are untyped.
Client = Any

LICENCE = "MIT License. Permission is hereby granted, free of charge, to any person obtaining a copy"
ASK = [{"role": "user", "content": LICENCE}]
TASK = "license-identification"
ENDPOINT = "ep_seed_licenses"
ROWS_G1 = [{"input": LICENCE, "expected": "MIT"}, {"input": "Apache License, Version 2.0", "expected": "Apache-2.0"}]
ROWS_G2 = [{"input": {"document": row["input"]}, "expected_output": {"label": row["expected"]}} for row in ROWS_G1]


def text_of(answer: Any) -> list[Any]:
    return [answer.choices[0].message.content, answer.choices[0].finish_reason, answer.usage.total_tokens]


def results_of(run: Any) -> list[Any]:
    scores = [[one.model_id, one.kind, one.quality_mean, one.n_succeeded, one.error_count] for one in run.results]
    return [
        run.status,
        run.is_terminal,
        str(run.cost),
        run.cost_micro_usd,
        sorted(run.candidate_models),
        sorted(scores),
    ]


def joined(chunks: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


class FirstGeneration:
    """What the documentation of SDK 0.2 shows."""

    def models(self, pa: Client) -> Any:
        return sorted(model.id for model in pa.models.list())

    def endpoints(self, pa: Client) -> Any:
        return sorted([one.id, one.status, one.task, one.model, one.is_live] for one in pa.endpoints.list())

    def chat(self, pa: Client) -> Any:
        return text_of(pa.chat.completions.create(model=ENDPOINT, messages=ASK, temperature=0))

    def stream(self, pa: Client) -> Any:
        return joined(pa.chat.completions.create(model=ENDPOINT, messages=ASK, stream=True))

    def deploy_and_watch(self, pa: Client) -> Any:
        return [[event["event"], sorted(event["data"])] for event in pa.endpoints.deploy(task=TASK, name="watched")]

    def life_of_an_endpoint(self, pa: Client) -> Any:
        endpoint = pa.endpoints.deploy(task=TASK, name="lived", wait=True)
        seen = [endpoint.is_live, endpoint.task, endpoint.model]
        pa.endpoints.stop(endpoint.id)
        seen.append(pa.endpoints.retrieve(endpoint.id).status)
        seen.append(sorted(pa.endpoints.metrics(endpoint.id).cost(window="24h")))
        pa.endpoints.delete(endpoint.id)
        return seen

    def endpoint_by_its_name(self, pa: Client) -> Any:
        endpoint = pa.endpoints.deploy(task=TASK, name="named", wait=True)
        seen = [pa.endpoints.retrieve("named").id == endpoint.id]
        seen.append(text_of(pa.chat.completions.create(model="named", messages=ASK)))
        seen.append(sorted(pa.endpoints.metrics("named").cost()))
        pa.endpoints.stop("named")
        seen.append(pa.endpoints.retrieve(endpoint.id).status)
        pa.endpoints.start("named")
        pa.endpoints.delete("named")
        return [*seen, endpoint.id in [one.id for one in pa.endpoints.list()]]

    def catalogue(self, pa: Client) -> Any:
        match = pa.tasks.match("which licence is this text?")
        tasks = [[task.id, task.default_scorer, task.has_blob_input] for task in pa.tasks.list()]
        return [tasks, match.type, match.matched, match.chosen and match.chosen.task_id, pa.tasks.retrieve(TASK).id]

    def leaderboard(self, pa: Client) -> Any:
        board = pa.tasks.leaderboard(TASK)
        ranked = [[one.name, one.kind, one.quality, one.cost_per_request_micro_usd] for one in board.models]
        return [board.recommended, board.frontier.name, ranked, pa.tasks.recommended(TASK)]

    def eval_sets(self, pa: Client) -> Any:
        created = pa.evals.sets.create(task=TASK, items=ROWS_G1, name="two")
        found = pa.evals.sets.retrieve(created.id)
        listed = created.id in [one.id for one in pa.evals.sets.list()]
        pa.evals.sets.delete(created.id)
        return [created.task_id, created.item_count, created.scoring_strategy, found.name, listed]

    def eval_run(self, pa: Client) -> Any:
        return results_of(
            pa.evals.runs.create(
                task=TASK,
                items=ROWS_G1,
                models=["heron-1", "wren-1"],
                frontier="benchmarked",
                wait=True,
                poll_interval=0.1,
            )
        )

    def eval_run_with_all_frontier_models(self, pa: Client) -> Any:
        eval_set = pa.evals.sets.create(task=TASK, items=ROWS_G1)
        run = pa.evals.runs.create(eval_set=eval_set.id, models=["heron-1"], frontier="all")
        return results_of(pa.evals.runs.wait(run.id, poll_interval=0.1, timeout=60))

    def unknown_endpoint(self, pa: Client) -> Any:
        return pa.chat.completions.create(model="ep_nowhere", messages=ASK)

    def unknown_run(self, pa: Client) -> Any:
        return pa.evals.runs.retrieve("run_nowhere")

    def no_messages(self, pa: Client) -> Any:
        return pa.chat.completions.create(model=ENDPOINT, messages=[])

    def stopped_endpoint(self, pa: Client) -> Any:
        endpoint = pa.endpoints.deploy(task=TASK, name="stopped", wait=True)
        pa.endpoints.stop(endpoint.id)
        return pa.chat.completions.create(model=endpoint.id, messages=ASK)


class SecondGeneration:
    """What the documentation of SDK 3 shows and what goes over the wire of both."""

    def models(self, pa: Client) -> Any:
        return sorted(model.id for model in pa.models.list())

    def chat_with_its_receipt(self, pa: Client) -> Any:
        answer = pa.chat.completions.create(model="auto", messages=ASK)
        money = [answer.billed_micro_usd, answer.frontier_would_have_cost_micro_usd, answer.savings_factor]
        return [text_of(answer), money]

    def stream(self, pa: Client) -> Any:
        return joined(pa.chat.completions.create(model="auto", messages=ASK, stream=True))

    def eval_run(self, pa: Client) -> Any:
        run = pa.evals.runs.create(
            task=TASK, items=ROWS_G2, prompt="Which licence is this?", models=["heron-1"], frontier=["summit-mini"],
            wait=True, poll_interval=0.1,
        )  # fmt: skip
        items = [[one.idx, one.score, one.prediction, one.error] for result in run.results for one in result.per_item]
        return [results_of(run), items, [result.exact_match for result in run.results]]

    def eval_set_without_a_prompt_or_a_task(self, pa: Client) -> Any:
        return pa.evals.sets.create(items=ROWS_G2, prompt="")

    def unknown_model(self, pa: Client) -> Any:
        return pa.chat.completions.create(model="ep_nowhere", messages=ASK)


class OpenAi:
    """What the openai package does with the same service."""

    def models(self, pa: Client) -> Any:
        return sorted(model.id for model in pa.models.list())

    def chat(self, pa: Client) -> Any:
        return text_of(pa.chat.completions.create(model=ENDPOINT, messages=ASK, temperature=0))

    def stream(self, pa: Client) -> Any:
        return joined(pa.chat.completions.create(model=ENDPOINT, messages=ASK, stream=True))

    def unknown_endpoint(self, pa: Client) -> Any:
        return pa.chat.completions.create(model="ep_nowhere", messages=ASK)


async def concurrently(pa: Client, model: str) -> Any:
    answers = await asyncio.gather(*(pa.chat.completions.create(model=model, messages=ASK) for _ in range(20)))
    stream = await pa.chat.completions.create(model=model, messages=ASK, stream=True)
    return [[text_of(answer) for answer in answers], joined([chunk async for chunk in stream])]


async def watched(pa: Client) -> Any:
    events = await pa.endpoints.deploy(task=TASK, name="watched at leisure")
    return [event["event"] async for event in events]


def found(program: Callable[[Client], Any], client: Client) -> Any:
    try:
        return program(client)
    except Exception as error:  # noqa: BLE001 - the class of whatever is raised is what is compared
        return {"raised": told(error)}


def troubles_of(suite: str, sandbox: Sandbox) -> Troubles:
    match suite:
        case "FirstGeneration":
            return DeployTroubles(sandbox, ENDPOINT)
        case "SecondGeneration":
            return Troubles(sandbox, "auto")
        case _:
            return Troubles(sandbox, ENDPOINT, SHARED_STATUSES)


def programs_of(suite: object) -> dict[str, Callable[[Client], Any]]:
    return {name: getattr(suite, name) for name in dir(suite) if not name.startswith("_")}


def main(module: str, suite: str, base_url: str, api_key: str) -> None:
    sdk = importlib.import_module(module)
    blocking, asynchronous = ("OpenAI", "AsyncOpenAI") if module == "openai" else ("Pareta", "AsyncPareta")
    options = {"api_key": api_key, "base_url": f"{base_url}/v1" if module == "openai" else base_url, "max_retries": 0}
    client = getattr(sdk, blocking)(**options)
    seen = {name: found(program, client) for name, program in programs_of(globals()[suite]()).items()}
    patient = getattr(sdk, blocking)(**{**options, "max_retries": 2})
    sandbox = Sandbox(base_url)
    troubles = programs_of(troubles_of(suite, sandbox))
    seen |= {name: found(program, patient) for name, program in troubles.items()}
    sandbox.ask("DELETE", "/faults")
    wrong = getattr(sdk, blocking)(**{**options, "api_key": "wrong"})
    seen["wrong_key"] = found(lambda pa: [model.id for model in pa.models.list()], wrong)
    model = "auto" if suite == "SecondGeneration" else ENDPOINT
    seen["concurrently"] = asyncio.run(concurrently(getattr(sdk, asynchronous)(**options), model))
    if suite == "FirstGeneration":
        seen["deploy_events_in_a_loop"] = asyncio.run(watched(getattr(sdk, asynchronous)(**options)))
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
