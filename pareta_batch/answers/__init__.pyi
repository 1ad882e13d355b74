from .answer_parts import WrittenParts, complete_folder, shards_per_part, write_folder, write_parts
from .answers_file import layout_of, results_table, write_answers
from .output import write_output
from .output_checks import check_content, check_path
from .output_claims import check_free, claim, release_earlier

__all__ = [
    "WrittenParts",
    "check_content",
    "check_free",
    "check_path",
    "claim",
    "complete_folder",
    "layout_of",
    "release_earlier",
    "results_table",
    "shards_per_part",
    "write_answers",
    "write_folder",
    "write_output",
    "write_parts",
]
