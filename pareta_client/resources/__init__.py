"""The methods of `Pareta` and `AsyncPareta`, grouped as on the wire."""
