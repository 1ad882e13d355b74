"""Prefect tasks: names, tags, retry policies, limits, events and the credentials block. No logic."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
