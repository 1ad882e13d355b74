"""One generator for each operation of the service. No I/O."""
