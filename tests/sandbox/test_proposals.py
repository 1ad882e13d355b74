"""Proposed scoring of rows under a prompt."""

import json

import httpx
import pytest

LABEL = {"input": {"document": "x"}, "expected_output": {"label": "MIT"}}
FIELDS = {"input": {"document": "x"}, "expected_output": {"year": "2020", "holder": "Ada"}}
Row = dict[str, dict[str, str]]


def proposed(http: httpx.Client, prompt: str, *rows: Row) -> dict[str, object]:
    items = "\n".join(map(json.dumps, rows)).encode()
    reply = http.post("/v1/eval-sets/propose-contract", files={"items": ("i", items)}, data={"prompt": prompt})
    assert reply.status_code == 200
    found: dict[str, object] = reply.json()
    return found


def test_a_clear_prompt_has_one_proposal(http: httpx.Client) -> None:
    found = proposed(http, "Which SPDX licence is this?", LABEL, LABEL)
    assert [p["task_id"] for p in found["proposals"]] == ["license-identification"]  # type: ignore[attr-defined]
    assert (found["homogeneous"], found["conflict"], found["split"]) == (True, None, None)


def test_words_that_contradict_the_rows_are_a_conflict(http: httpx.Client) -> None:
    found = proposed(http, "Is this review positive or negative?", FIELDS)
    assert found["proposals"] == []
    assert found["conflict"]["intended_task"] == "sentiment-classification"  # type: ignore[index]


def test_a_mixture_is_told(http: httpx.Client) -> None:
    found = proposed(http, "Extract the contract fields", FIELDS, FIELDS, LABEL)
    assert found["homogeneous"] is False
    assert found["split"] == {"closest_task": "contract-extraction", "validated_n": 2, "total_n": 3}


def test_a_prompt_nobody_understands_has_no_proposal(http: httpx.Client) -> None:
    found = proposed(http, "bake a cake", LABEL)
    assert (found["proposals"], found["closest_task"], found["conflict"]) == ([], None, None)


@pytest.mark.parametrize("prompt", ["", "  "])
def test_a_prompt_is_needed(http: httpx.Client, prompt: str) -> None:
    files = {"items": ("i", json.dumps(LABEL).encode())}
    assert http.post("/v1/eval-sets/propose-contract", files=files, data={"prompt": prompt}).status_code == 422
