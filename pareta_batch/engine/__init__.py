"""The session of a batch: its workers, its event loop, and control from outside."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
