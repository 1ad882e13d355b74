"""Sampling fields: what is passed through, and what the batch and the client keep for themselves."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pareta_client.resources._async.chat import AsyncCompletions
from tests.batch.batches import batch_in

ARGUMENTS = [
    name
    for name, each in inspect.signature(AsyncCompletions.create).parameters.items()
    if each.kind is each.KEYWORD_ONLY
]


@pytest.mark.parametrize("name", [*ARGUMENTS, "extra_headers", "extra_query"])
def test_an_argument_of_the_client_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError, match=rf"sampling may not set {name}: "):
        batch_in(tmp_path, sampling={name: 1})


@pytest.mark.parametrize("name", ["model", "messages", "stream", "timeout", "idempotency_key"])
def test_extra_body_may_not_replace_what_the_batch_sends(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError, match=rf"sampling may not set extra_body\.{name}: "):
        batch_in(tmp_path, sampling={"extra_body": {name: 1}})


@pytest.mark.parametrize("extra", ["top_k=5", [["top_k", 5]], 7, {"extra_body": {}}])
def test_extra_body_must_be_a_mapping_before_anything_is_sent(tmp_path: Path, extra: object) -> None:
    with pytest.raises(ValidationError, match=r"sampling\.extra_body is .*must be a mapping"):
        batch_in(tmp_path, sampling={"extra_body": extra})


def test_a_schema_in_extra_body_is_checked_too(tmp_path: Path) -> None:
    unresolvable = {"type": "json_schema", "json_schema": {"schema": {"$ref": "https://x.invalid/y"}}}
    with pytest.raises(ValidationError, match="cannot be resolved"):
        batch_in(tmp_path, sampling={"extra_body": {"response_format": unresolvable}})
    fields = {"response_format": {"type": "text"}, "extra_body": {"response_format": {"type": "json_object"}}}
    assert batch_in(tmp_path, sampling=fields).sampling.response_format == {"type": "json_object"}


def test_a_field_may_have_any_name() -> None:
    positional = inspect.signature(AsyncCompletions.create).parameters["self"]
    assert positional.kind is positional.POSITIONAL_ONLY, "a sampling field named self is a field like any other"


def test_other_fields_are_passed_through(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"n": 2, "extra_body": {"top_k": 3}, "logprobs": True}
    assert batch_in(tmp_path, sampling=fields).sampling.fields() == fields
