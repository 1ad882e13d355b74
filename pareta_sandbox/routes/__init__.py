"""Route handlers, one module per group of routes: parse, call `state` or `models`, and reply.

Handlers keep idempotent answers; all other state is in `state` and `service`.
"""

__all__ = ["catalogue", "chat", "chat_request", "control", "evals"]
