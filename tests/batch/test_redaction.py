"""Errors of a store name the file, and never a credential."""

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.errors import DatasetError
from pareta_batch.rows.storage import SECRETS, readable


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("kind", [OSError, ValueError, EOFError, pyarrow.ArrowInvalid])
def test_a_credential_in_an_error_is_replaced(
    name: str, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "s3cr3t+/=value")
    with pytest.raises(DatasetError) as caught, readable("s3://bucket/rows.csv"):
        raise kind("ACCESS_DENIED for s3cr3t+/=value: signed s3cr3t+/=value")
    assert "s3cr3t" not in str(caught.value)
    assert str(caught.value).startswith("s3://bucket/rows.csv: ACCESS_DENIED for [redacted]: signed [redacted]")
    assert "AWS_PROFILE" in str(caught.value), "the next step is named"
    assert caught.value.__suppress_context__, "a traceback does not print the cause"


@pytest.mark.parametrize("set_as", [None, ""])
def test_without_a_credential_the_text_is_unchanged(set_as: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
        if set_as is not None:
            monkeypatch.setenv(name, set_as)
    with pytest.raises(DatasetError, match=r"^rows: no such bucket$"), readable("rows"):
        raise OSError("no such bucket")


@given(st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=8, max_size=40), st.text(max_size=20))
def test_no_value_of_a_credential_stays_in_a_text(secret: str, around: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in SECRETS:
            patch.delenv(name, raising=False)
        patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        with pytest.raises(DatasetError) as caught, readable("rows"):
            raise OSError(f"{around} {secret} {around}")
    if secret not in "rows: [redacted]" and secret not in around:
        assert secret not in str(caught.value).replace("[redacted]", "\0")
