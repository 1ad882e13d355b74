"""Prices, budgets and dollars. No I/O but reading a leaderboard."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
