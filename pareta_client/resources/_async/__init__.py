"""Resources of `AsyncPareta`: the source of both faces. `python -m scripts.unasync` generates `_sync` from it."""
