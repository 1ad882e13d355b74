"""State of a running sandbox: books, journal, endpoints, deploys, eval sets and runs, completions in progress.

No routes and no server: a rule of the service refuses a request with an exception of `http.errors`. `upstream` is the
only HTTP client.
"""

__all__ = [
    "books",
    "completion",
    "deploys",
    "documents",
    "endpoints",
    "eval_runs",
    "eval_sets",
    "journal",
    "metrics",
    "money",
    "upstream",
    "work",
]
