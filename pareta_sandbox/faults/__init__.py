"""Faults on demand: kinds, selection of requests, effects on replies, and scenarios.

No routes and no books: a fault changes a request or a reply, never the rules of the service.
"""

__all__ = ["effects", "injection", "kinds", "odd_replies", "scenario"]
