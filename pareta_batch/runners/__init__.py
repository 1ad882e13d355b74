"""Runners: start the member processes of a run, on this machine or on a cluster. Each engine is an optional package."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
