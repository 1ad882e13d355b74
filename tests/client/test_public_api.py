"""The public API of the client only grows."""

from tests.client.public_api import RECORDED, public_api


def test_no_public_name_or_signature_of_the_client_changes() -> None:
    assert [line for line in RECORDED.read_text().splitlines() if line not in public_api()] == []


def test_the_record_has_every_resource_of_both_faces() -> None:
    recorded = RECORDED.read_text()
    for face in ("Pareta", "AsyncPareta"):
        assert f"{face}.endpoints.deploy(" in recorded
        assert f"{face}.evals.runs.wait(" in recorded
