"""Models of the service: their list, their answers, the scoring of answers, and the catalogue of tasks.

Pure functions without HTTP and without mutable state; of `state` only the types of prices and eval rows.
"""

__all__ = ["answerers", "catalogue", "matching", "prompts", "proposals", "roster", "scoring"]
