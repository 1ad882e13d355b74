from .candidates import Candidate
from .confusion import confusion_matrix
from .cost import said
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
    "said",
    "slicings",
]
