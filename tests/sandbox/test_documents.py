"""Documents of eval rows: inline, by signed URL, and in the answers of models."""

import httpx
import pytest

from tests.sandbox.talk import JsonObject, eval_set, finished, start_run

TEXT = b"Copyright (c) 2020 Ada\n\nEffective date: 2021-05-06"
WANTED = {"copyright_holder": "Ada", "year": "2020", "effective_date": "2021-05-06", "governing_law": None}


@pytest.fixture
def set_id(http: httpx.Client) -> str:
    made = eval_set(http, [{"expected_output": WANTED}, {"expected_output": WANTED}], task_id="contract-extraction")
    return str(made.json()["eval_set"]["id"])


def attach(http: httpx.Client, set_id: str, content: bytes, **fields: str) -> httpx.Response:
    given = {"idx": "0", "field_name": "document", "mime": "text/plain", **fields}
    return http.post(f"/v1/eval-sets/{set_id}/attach-blob", files={"file": ("a.txt", content)}, data=given)


def per_item(http: httpx.Client, set_id: str) -> list[JsonObject]:
    results = finished(http, start_run(http, set_id, "heron-2").json()["run_id"])["results"]
    assert isinstance(results, list)
    items: list[JsonObject] = results[0]["per_item"]
    return items


def test_an_attached_document_is_what_the_models_read(http: httpx.Client, set_id: str) -> None:
    assert attach(http, set_id, TEXT).json()["status"] == "attached"
    assert [item["score"] for item in per_item(http, set_id)] == [1.0, 0.0]


def test_a_large_document_goes_through_a_signed_url(http: httpx.Client, set_id: str) -> None:
    large = TEXT + b"\n" + b"x" * 1000
    place = {"idx": 1, "field_name": "document", "mime": "text/plain"}
    minted = http.post(f"/v1/eval-sets/{set_id}/blob-upload-url", json={**place, "file_size": len(large)}).json()
    assert httpx.put(minted["upload_url"], content=large, headers={"content-type": "text/plain"}).status_code == 200
    complete = {**place, "storage_uri": minted["storage_uri"]}
    assert http.post(f"/v1/eval-sets/{set_id}/blob-upload-complete", json=complete).json()["size"] == len(large)
    assert [item["score"] for item in per_item(http, set_id)] == [0.0, 1.0]
    assert http.post(f"/v1/eval-sets/{set_id}/blob-upload-complete", json=complete).status_code == 422


def test_an_upload_is_not_complete_before_its_bytes_came(http: httpx.Client, set_id: str) -> None:
    place = {"idx": 0, "field_name": "document", "mime": "text/plain"}
    minted = http.post(f"/v1/eval-sets/{set_id}/blob-upload-url", json={**place, "file_size": 3}).json()
    complete = {**place, "storage_uri": minted["storage_uri"]}
    assert httpx.put(minted["upload_url"], content=b"four").status_code == 400
    assert http.post(f"/v1/eval-sets/{set_id}/blob-upload-complete", json=complete).status_code == 422


def test_an_unknown_upload_url_is_forbidden(http: httpx.Client) -> None:
    assert http.put("/_storage/nothing", content=b"x").status_code == 403


def test_a_document_that_is_not_text_is_an_error_of_its_row(http: httpx.Client, set_id: str) -> None:
    attach(http, set_id, b"PK\x03\x04\x00\xff", mime="application/zip")
    attach(http, set_id, TEXT, idx="1")
    items = per_item(http, set_id)
    assert "not text" in str(items[0]["error"])
    assert items[1]["error"] is None


def test_five_mebibytes_are_too_much_inline(http: httpx.Client, set_id: str) -> None:
    assert attach(http, set_id, b"x" * (5 * 1024 * 1024)).status_code == 413


@pytest.mark.parametrize("fields", [{"idx": "2"}, {"idx": "-1"}, {"idx": "one"}, {"field_name": ""}])
def test_a_place_that_does_not_exist_is_refused(http: httpx.Client, set_id: str, fields: dict[str, str]) -> None:
    assert attach(http, set_id, TEXT, **fields).status_code == 422


def test_a_set_that_does_not_exist_is_not_found(http: httpx.Client) -> None:
    assert attach(http, "es_nothing", TEXT).status_code == 404
