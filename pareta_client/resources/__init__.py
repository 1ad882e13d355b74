"""Methods of `Pareta` and `AsyncPareta`, grouped by the paths of the API."""
