from .candidates import Candidate
from .confusion import confusion_matrix
from .cost import value_text
from .results import Comparison, Disagreement, ModelScore
from .row_results import MeasuredQuality
from .slices import Rows, confusions, slicings

__all__ = [
    "Candidate",
    "Comparison",
    "Disagreement",
    "MeasuredQuality",
    "ModelScore",
    "Rows",
    "confusion_matrix",
    "confusions",
    "slicings",
    "value_text",
]
