"""A local server with the calls of Google Cloud Storage that reading and writing need."""

import json
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

BUCKET = "rows"


@contextmanager
def gcs_server(objects: MutableMapping[str, bytes]) -> Iterator[str]:
    """Run a server with these objects in one bucket, also those that are written; yield its host and port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = parse_qs(url.query)
            _, _, key = unquote(url.path).partition(f"/{BUCKET}/o/")
            if url.path.endswith("/o"):
                begin = query.get("prefix", [""])[0]
                self._reply({"items": [described(name, objects[name]) for name in objects if name.startswith(begin)]})
            elif key not in objects:
                self.send_error(404)
            elif query.get("alt") == ["media"]:
                self._send(objects[key])
            else:
                self._reply(described(key, objects[key]))

        def do_POST(self) -> None:
            """Begin an upload: its content follows in one request."""
            (key,) = parse_qs(urlsplit(self.path).query)["name"]
            self.send_response(200)
            self.send_header("Location", f"http://{self.headers['Host']}/upload/{quote(key, safe='')}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_PUT(self) -> None:
            key = unquote(self.path.removeprefix("/upload/"))
            objects[key] = self.rfile.read(int(self.headers["Content-Length"]))
            self._reply(described(key, objects[key]))

        def do_DELETE(self) -> None:
            del objects[unquote(urlsplit(self.path).path).partition(f"/{BUCKET}/o/")[2]]
            self._send(b"")

        def _reply(self, body: object) -> None:
            self._send(json.dumps(body).encode())

        def _send(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def described(name: str, content: bytes) -> Mapping[str, str]:
    updated = "2026-01-01T00:00:00Z"
    return {"name": name, "bucket": BUCKET, "size": str(len(content)), "generation": "1", "updated": updated}


def write_credentials(path: Path) -> None:
    """Write the key file of a service account; its owner signs requests without asking a server."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    ids = {"project_id": "p", "private_key_id": "k", "client_id": "1", "client_email": "writer@p.iam.example"}
    path.write_text(json.dumps({"type": "service_account", "private_key": pem, "token_uri": "http://localhost"} | ids))
