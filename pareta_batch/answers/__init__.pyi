from .answers_file import layout_of, results_table, write_answers
from .output_checks import check_content, check_path
from .output_claims import check_free, claim, release_earlier

__all__ = [
    "check_content",
    "check_free",
    "check_path",
    "claim",
    "layout_of",
    "release_earlier",
    "results_table",
    "write_answers",
]
