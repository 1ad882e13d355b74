from .details import with_details
from .files import PLOT_CREATOR
from .tables import artifact_rows
from .text import about, count, interval, listing, money, percent, points, unit_cost

__all__ = [
    "PLOT_CREATOR",
    "about",
    "artifact_rows",
    "count",
    "interval",
    "listing",
    "money",
    "percent",
    "points",
    "unit_cost",
    "with_details",
]
