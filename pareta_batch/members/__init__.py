"""Several processes on one batch: members that pull shards from the ledger, and the parent that leads them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
