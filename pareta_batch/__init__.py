"""Rows to requests to answers, settled once in a ledger. No Prefect and no pandas outside the dataset reader."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
