"""Faults on demand: kinds, selection of requests, effects on replies, and scenarios.

A fault changes requests or replies, and only those. `scenario` also changes settings, balance and endpoints of the
service.
"""

__all__ = ["effects", "injection", "kinds", "odd_replies", "scenario"]
