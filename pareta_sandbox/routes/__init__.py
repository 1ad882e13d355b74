"""Route handlers, one module per group of routes: parse, call `state` or `models`, and reply.

Handlers keep the answers of idempotency keys and the current eval sets and runs; all other state is in `service`.
`chat_request` is also used by `state`.
"""

__all__ = ["catalogue", "chat", "chat_request", "control", "evals"]
