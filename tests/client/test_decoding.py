"""Bodies decompressed: however they are cut, however many members, and if they are not what they claim to be."""

import gzip
import zlib
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as some

from pareta_client.transport.decoding import PIECE_BYTES, decoded

JSON = b'{"choices": [{"message": {"content": "hello"}}]}'
TEXTS = [JSON, b"data: {}\n\n", b": ping\n\n", b"[]", b"<html>", b'\xef\xbb\xbf{"a": 1}', b"null"]


def deflated(content: bytes, window: int = -zlib.MAX_WBITS) -> bytes:
    deflate = zlib.compressobj(wbits=window)
    return deflate.compress(content) + deflate.flush()


def read(body: bytes, encoding: str, size: int = 10**9) -> bytes:
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(decoded(pieces, [(b"Content-Encoding", encoding.encode())]))


@given(
    content=some.sampled_from(TEXTS) | some.binary(max_size=300),
    size=some.integers(1, 40),
    cuts=some.lists(some.integers(0, 300), max_size=4),
)
def test_gzip_of_any_number_of_members_is_read_however_it_is_cut(content: bytes, size: int, cuts: list[int]) -> None:
    ends = [*sorted(cuts), len(content)]
    members = [content[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    body = b"".join(map(gzip.compress, members))
    assert read(body, "gzip", size) == content
    assert read(body + bytes(8), "x-gzip", size) == content


@given(
    content=some.sampled_from(TEXTS) | some.text(max_size=300).map(lambda text: b'{"a": "%s"}' % text.encode()),
    size=some.integers(1, 40),
)
def test_deflate_is_read_with_and_without_the_zlib_format(content: bytes, size: int) -> None:
    assert read(zlib.compress(content), "deflate", size) == content
    assert read(deflated(content), "Deflate", size) == content
    assert read(gzip.compress(zlib.compress(content)), "deflate, gzip", size) == content


@given(content=some.sampled_from(TEXTS) | some.binary(min_size=1, max_size=300), size=some.integers(1, 40))
def test_gzip_and_deflate_may_be_named_for_one_another(content: bytes, size: int) -> None:
    assert read(gzip.compress(content) + gzip.compress(content), "deflate", size) == content * 2
    assert read(zlib.compress(content), "gzip", size) == content


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity", "gzip, gzip", "made-up", ""])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_plain_body_is_read_whatever_it_claims_to_be(encoding: str, text: bytes, size: int) -> None:
    assert read(text, encoding, size) == text


def test_a_body_that_breaks_off_gives_what_was_there() -> None:
    assert JSON.startswith(read(gzip.compress(JSON)[:-12], "gzip"))
    assert read(b"", "gzip") == b""


def test_a_body_with_a_flaw_in_its_middle_is_a_decoding_error() -> None:
    body = bytearray(gzip.compress(JSON))
    body[14] ^= 0xFF
    with pytest.raises(httpx.DecodingError, match="content-encoding"):
        read(bytes(body), "gzip")
    with pytest.raises(httpx.DecodingError, match="encodings"):
        read(JSON, ",".join(["gzip"] * 9))


def test_a_bomb_comes_in_small_pieces_and_no_further_than_it_is_read() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    received: Iterator[bytes] = iter([bomb])
    pieces = decoded(received, [(b"content-encoding", b"gzip")])
    assert [len(next(pieces)) for _ in range(8)] == [PIECE_BYTES] * 8


def test_ten_thousand_tiny_members_are_read() -> None:
    assert read(gzip.compress(b"x") * 10_000, "gzip") == b"x" * 10_000
