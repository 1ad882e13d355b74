"""One behaviour a file: read these first."""
