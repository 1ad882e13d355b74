"""What a running sandbox knows: books, journal, endpoints, eval sets and runs. No HTTP."""
