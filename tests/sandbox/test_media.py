"""Images, PDFs and audio: the sandbox reads the text inside of them, otherwise it names their hash."""

import base64
import hashlib
from typing import Any

import httpx
import pytest

from pareta_sandbox.models import media
from tests import files

TICKET = "My invoice (number 7) is wrong."


def part(content: bytes) -> dict[str, Any]:
    encoded = base64.b64encode(content).decode()
    match media.kind_of(content):
        case "image":
            return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}
        case "pdf":
            return {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{encoded}"}}
        case _:
            return {"type": "input_audio", "input_audio": {"data": encoded, "format": "wav"}}


def asked(http: httpx.Client, *parts: dict[str, Any]) -> httpx.Response:
    content = [{"type": "text", "text": "Which team?"}, *parts]
    return http.post(
        "/v1/chat/completions",
        json={"model": "ep_seed_tickets", "messages": [{"role": "user", "content": content}]},
    )


@pytest.mark.parametrize("content", [files.png(TICKET), files.pdf(TICKET), files.wav(TICKET)])
def test_the_text_inside_of_a_file_is_what_the_model_reads(http: httpx.Client, content: bytes) -> None:
    found = media.read(content)
    assert found is not None
    assert found.text == TICKET
    reply = asked(http, part(content)).json()
    assert reply["choices"][0]["message"]["content"] == "billing"
    assert reply["usage"]["prompt_tokens"] == found.tokens + 3


@pytest.mark.parametrize("content", [files.png(""), files.pdf(), files.mp3()])
def test_a_file_without_text_is_read_as_its_hash(content: bytes) -> None:
    found = media.read(content)
    assert found is not None
    assert found.text == f"{found.kind} sha256:{hashlib.sha256(content).hexdigest()}"


def test_every_page_of_a_pdf_is_read_and_counted() -> None:
    one, two = media.read(files.pdf("first")), media.read(files.pdf("first", "second"))
    assert one is not None
    assert two is not None
    assert two.text == "first\nsecond"
    assert two.tokens >= 2 * media.IMAGE_TOKENS > one.tokens


def test_a_remote_image_is_its_address(http: httpx.Client) -> None:
    url = {"type": "image_url", "image_url": {"url": "https://example.com/my-invoice-is-wrong.png"}}
    assert asked(http, url).json()["choices"][0]["message"]["content"] == "billing"


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "image_url"},
        {"type": "image_url", "image_url": {"url": "cat.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,@@"}},
        {"type": "file", "file": {"file_data": part(files.png("x"))["image_url"]["url"]}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": part(files.wav("x"))["input_audio"]["data"], "format": "ogg"}},
    ],
)
def test_a_part_that_is_not_what_it_says_is_refused(http: httpx.Client, wrong: dict[str, Any]) -> None:
    assert asked(http, wrong).status_code == 422
