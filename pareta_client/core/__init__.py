"""Requests, retries and replies decided as plain data. No I/O and no clock."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
