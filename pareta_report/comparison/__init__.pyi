from .candidates import Candidate
from .confusion import confusion_matrix
from .cost import value_text
from .results import Comparison, Disagreement, MeasuredQuality, ModelScore
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
