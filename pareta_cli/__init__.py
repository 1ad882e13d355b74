"""The command line `pareta-pipeline`: commands, spec files, progress and exit statuses. No SQL and no HTTP."""

__all__: list[str] = []
