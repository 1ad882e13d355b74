"""A local server with the calls of Google Cloud Storage that reading needs."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

BUCKET = "rows"


@contextmanager
def gcs_server(objects: Mapping[str, bytes]) -> Iterator[str]:
    """Run a server with these objects in one bucket; yield its host and port."""

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
