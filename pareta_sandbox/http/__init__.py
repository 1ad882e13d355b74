"""HTTP side of the sandbox: server, connections, exchanges, request bodies, idempotency, refusals and pages.

`app` connects the routes. `errors` is the only module that `state` uses. No rules of the service.
"""

__all__ = ["body", "errors", "exchange", "idempotency", "server"]
