"""Over TLS: one context for the whole process, and a certificate nobody vouches for gets no request."""

import ssl
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pareta_client import APIConnectionError, AsyncPareta, Pareta
from pareta_client.transport.channel import tls_context
from tests.client.playing import KEY
from tests.client.servers import Conversation, serving

MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that this machine gives itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def fresh_context() -> Iterator[None]:
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


def over_tls(certificate: Path) -> Callable[[Conversation], None]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def script(conversation: Conversation) -> None:
        with context.wrap_socket(conversation.socket, server_side=True) as conversation.socket:
            while conversation.read_request():
                conversation.answer()

    return script


async def ask_async(url: str) -> None:
    async with AsyncPareta(api_key=KEY, base_url=url, max_retries=0) as client:
        await client.chat.completions.create(model="ep_1", messages=MESSAGES)


async def ask_blocking(url: str) -> None:
    with Pareta(api_key=KEY, base_url=url, max_retries=0) as client:
        client.chat.completions.create(model="ep_1", messages=MESSAGES)


@pytest.mark.usefixtures("fresh_context")
async def test_all_clients_of_a_process_share_one_context(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(over_tls(certificate)) as server:
        url = server.url.replace("http:", "https:")
        for ask in (ask_async, ask_blocking, ask_async):
            await ask(url)
        assert len(server.requests) == 3
    assert tls_context.cache_info().misses == 1


@pytest.mark.usefixtures("fresh_context")
@pytest.mark.parametrize("ask", [ask_async, ask_blocking])
async def test_a_certificate_that_nobody_vouches_for_gets_no_request(
    ask: Callable[[str], Awaitable[None]], certificate: Path
) -> None:
    with serving(over_tls(certificate)) as server:
        with pytest.raises(APIConnectionError, match="never sent") as caught:
            await ask(server.url.replace("http:", "https:"))
        assert server.requests == []
    assert caught.value.never_sent
