"""HTTP side of the sandbox: server, connections, exchanges, request bodies, idempotency, refusals and pages.

`app` connects the routes. `errors` and `idempotency` are used by every other package. No rules of the service.
"""

__all__ = ["body", "errors", "exchange", "idempotency", "server"]
