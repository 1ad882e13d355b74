"""Sampling fields: what is passed through, and what the batch and the client keep for themselves."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pareta_client.resources.chat import AsyncCompletions
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


@pytest.mark.parametrize("name", ["model", "messages", "stream"])
def test_extra_body_may_not_replace_what_the_batch_sends(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError, match=rf"sampling may not set extra_body\.{name}: "):
        batch_in(tmp_path, sampling={"extra_body": {name: 1}})


def test_other_fields_are_passed_through(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"n": 2, "extra_body": {"top_k": 3}, "logprobs": True}
    assert batch_in(tmp_path, sampling=fields).sampling.fields() == fields
