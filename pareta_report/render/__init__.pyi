from .details import with_details
from .tables import artifact_rows
from .text import about, count, interval, listing, money, percent, points, unit_cost

__all__ = [
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
