"""Access by API key."""

import httpx
import pytest

from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import Sandbox
from tests.sandbox.talk import asked, complete


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer sk-other"}, {"authorization": "Basic pareta_sk_x"}])
def test_without_a_good_key_every_route_answers_401(sandbox: Sandbox, header: dict[str, str]) -> None:
    with httpx.Client(base_url=sandbox.base_url, headers=header) as http:
        replies = [http.get("/v1/models"), http.post("/v1/chat/completions", json=asked())]
    assert [reply.status_code for reply in replies] == [401, 401]
    assert all(isinstance(reply.json()["detail"], str) for reply in replies)
    assert sandbox.books().debits == ()


def test_when_keys_are_given_only_those_are_good(sandbox_factory: SandboxFactory) -> None:
    sandbox = sandbox_factory(keys=("pareta_sk_one", "pareta_sk_two"))
    with httpx.Client(base_url=sandbox.base_url) as http:
        for key, status in (("pareta_sk_one", 200), ("pareta_sk_two", 200), ("pareta_sk_three", 401)):
            assert http.get("/v1/models", headers={"authorization": f"Bearer {key}"}).status_code == status


def test_a_read_only_key_may_look_but_not_touch(sandbox: Sandbox) -> None:
    with httpx.Client(base_url=sandbox.base_url, headers={"authorization": "Bearer pareta_sk_readonly_1"}) as http:
        assert http.get("/v1/endpoints").status_code == 200
        assert complete(http).status_code == 403
