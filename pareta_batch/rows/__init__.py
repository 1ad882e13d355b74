"""Datasets, prompts and the identity of a request. No I/O but reading the dataset."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
