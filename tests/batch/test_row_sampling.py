"""Sampling per row by columns: checked for every row, part of the fingerprint, inside of the ceiling."""

import csv
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pareta_batch.errors import DatasetError
from pareta_batch.rows.identity import fingerprint
from pareta_batch.rows.requests import RowRequest, row_requests
from tests.batch.batches import batch_in


def requests_of(folder: Path, *values: object, field: str = "max_tokens", **changes: Any) -> list[RowRequest]:
    rows: list[dict[str, object]] = [{"id": str(n), "limit": value, "text": "x"} for n, value in enumerate(values)]
    given = {"sampling": {"max_tokens": 100, "seed": 1}, "sampling_columns": {field: "limit"}, **changes}
    return list(row_requests(batch_in(folder, rows, prompt="{text}", **given)))


def test_a_row_has_its_own_value_and_otherwise_that_of_the_batch(tmp_path: Path) -> None:
    own, same, missing = requests_of(tmp_path, 20, 100, None)
    assert [request.sampling for request in (own, same, missing)] == [{"max_tokens": 20, "seed": 1}, None, None]
    message = [{"role": "user", "content": "x"}]
    assert own.fingerprint == fingerprint("ep_seed_tickets", message, {"max_tokens": 20, "seed": 1})
    assert (
        same.fingerprint
        == missing.fingerprint
        == fingerprint("ep_seed_tickets", message, {"max_tokens": 100, "seed": 1})
    )


@pytest.mark.parametrize(
    ("field", "value", "sent"),
    [
        ("temperature", 0.5, 0.5),
        ("stop", "7", "7"),
        ("stop", ["a", "b"], ["a", "b"]),
        ("top_k", 5, 5),
        ("logit_bias", {"50256": -100}, {"50256": -100}),
        ("reasoning_effort", "low", "low"),
        ("stop_regex", "7", "7"),
        ("route", "7", "7"),
    ],
)
def test_any_field_but_those_of_the_batch_can_be_a_column(
    tmp_path: Path, field: str, value: object, sent: object
) -> None:
    (request,) = requests_of(tmp_path, value, field=field)
    assert request.sampling is not None
    assert request.sampling[field] == sent


def test_numbers_of_a_csv_are_numbers_and_texts_stay_texts(tmp_path: Path) -> None:
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "k", "stop", "limit"], ["a", "5", "5", "7"], ["b", "", "", ""]])
    columns = {"top_k": "k", "stop": "stop", "max_tokens": "limit"}
    batch = batch_in(tmp_path, dataset=str(tmp_path / "rows.csv"), prompt="{id}", sampling_columns=columns)
    first, second = row_requests(batch)
    assert first.sampling == {"top_k": 5, "stop": "5", "max_tokens": 7}
    assert second.sampling is None


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("max_tokens", 0, "column 'limit', max_tokens is 0: Input should be greater than or equal to 1"),
        ("max_tokens", "many", "column 'limit', max_tokens is 'many': Input should be a valid integer"),
        ("max_tokens", True, "max_tokens is True"),
        ("max_tokens", 1.5, "max_tokens is 1.5"),
        ("temperature", 3, "temperature is 3: Input should be less than or equal to 2"),
        ("logprobs", "yes", "logprobs is 'yes'"),
        ("max_tokens", 101, "its answer may have 101 tokens, the batch allows 100; raise sampling.max_tokens"),
        ("n", 2, "its answer may have 200 tokens, the batch allows 100"),
    ],
)
def test_an_invalid_value_is_refused_with_its_row(tmp_path: Path, field: str, value: object, problem: str) -> None:
    with pytest.raises(DatasetError) as caught:
        requests_of(tmp_path, 1, value, field=field)
    (found,) = caught.value.problems
    assert found.startswith(f"{tmp_path / 'rows.jsonl'} line 2: ")
    assert problem in found


def test_with_a_budget_a_field_of_unknown_cost_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="its cost cannot be bounded; leave it out, or leave budget_usd out"):
        requests_of(tmp_path, "x", field="plugins", budget_usd=1)


@pytest.mark.parametrize("field", ["model", "messages", "stream", "response_format", "tools", "extra_body", "timeout"])
def test_what_is_one_for_all_rows_is_no_column(tmp_path: Path, field: str) -> None:
    with pytest.raises(ValidationError, match=f"sampling_columns may not set {field}"):
        batch_in(tmp_path, sampling_columns={field: "text"})


def test_a_misspelt_field_and_an_unknown_column_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="did you mean max_tokens"):
        batch_in(tmp_path, sampling_columns={"maxTokens": "text"})
    with pytest.raises(DatasetError, match=r"has no column 'limits'; it has: .* \(sampling_columns.max_tokens\)"):
        requests_of(tmp_path, 1, sampling_columns={"max_tokens": "limits"})
