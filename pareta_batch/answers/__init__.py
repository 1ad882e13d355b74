"""The answers file: checks before anything is paid, formats, and the claim of one batch on its outputs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
