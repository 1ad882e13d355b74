from .accounting import account
from .answers import answers_table, result_columns
from .quality import batch_measured_quality
from .rows import shown_rows
from .truth import label_of

__all__ = [
    "account",
    "answers_table",
    "batch_measured_quality",
    "label_of",
    "result_columns",
    "shown_rows",
]
