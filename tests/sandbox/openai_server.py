"""A small OpenAI-compatible server on the standard library alone, for another process: `python -m ... PORTFILE`.

It shouts back what it was asked last, and does as the message says: `fail`, `refuse`, `limit`, `break off`.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Answer one request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """List the one model."""
        self._reply(200, {"object": "list", "data": [{"id": "parrot-7b", "object": "model"}]})

    def do_POST(self) -> None:
        """Complete a chat."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked = body["messages"][-1]["content"]
        statuses = {"fail": 500, "refuse": 400, "limit": 429}
        if asked in statuses:
            self._reply(statuses[asked], {"error": {"message": f"asked to {asked}"}}, {"retry-after": "3"})
        elif body.get("stream"):
            self._stream(body, asked)
        else:
            seen = {"model": body["model"], "roles": [m["role"] for m in body["messages"]], "top_k": body.get("top_k")}
            message = {"role": "assistant", "content": asked.upper(), "tool_calls": [{"id": "t1"}], "seen": seen}
            choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
            self._reply(200, {"choices": choices, "usage": {"prompt_tokens": 1000, "completion_tokens": 500}})

    def _stream(self, body: dict[str, object], asked: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for word in asked.split():
            self._chunk({"choices": [{"index": 0, "delta": {"content": f"{word.upper()} "}, "finish_reason": None}]})
        if asked != "break off":
            self._chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self._chunk({"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 500}})
            self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _chunk(self, content: dict[str, object]) -> None:
        self.wfile.write(f"data: {json.dumps(content)}\n\n".encode())
        self.wfile.flush()

    def _reply(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Drop the request log."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    file = Path(sys.argv[1])
    partial = file.with_suffix(".new")
    partial.write_text(str(server.server_port))
    partial.rename(file)
    server.serve_forever()
