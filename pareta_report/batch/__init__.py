"""The outcome of a batch: rows, costs, answers and measured quality. No HTML."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
