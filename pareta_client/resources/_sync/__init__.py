"""Resources of `Pareta`, generated from `_async` by `python -m scripts.unasync`."""
