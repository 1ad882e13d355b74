"""Environment and functions of the page templates. Autoescape is on: names, documents and answers are untrusted."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pareta_report.comparison import Comparison
from pareta_report.render import text as wording
from pareta_report.render.files import MARK
from pareta_report.render.plot import missing, quality_against_cost, unnamed

MARKS = {"right": "✓", "wrong": "✗", "failed": "!", "answered": "•", "pending": "…"}
MAX_UNFOLDED = 3
"""Number of comparisons up to which each is unfolded on the page. Raised: longer pages, also in print."""
WORD_MOOD = {"as good": "good", "worse": "bad", "open": "open"}


@cache
def environment() -> Environment:
    """Return the environment in which the page is rendered."""
    templates = Environment(
        loader=PackageLoader("pareta_report.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals.update(
        words=wording,
        marks=MARKS,
        mark=Markup(MARK),  # noqa: S704 - our own text
        word_mood=WORD_MOOD,
        max_unfolded=MAX_UNFOLDED,
        style=Markup(_asset("page.css")),  # noqa: S704 - our own file
        script=Markup(_asset("page.js")),  # noqa: S704 - our own file
        plot=plot,
        missing=missing,
        unnamed=unnamed,
    )
    return templates


def script_hash() -> str:
    """Return the hash that allows the script of the page, and no other, in its content security policy."""
    return base64.b64encode(hashlib.sha256(_asset("page.js").encode()).digest()).decode()


def plot(comparison: Comparison, shape: str) -> Markup:
    """Return the plot of a comparison, with escaped text."""
    svg = quality_against_cost(comparison, "narrow" if shape == "narrow" else "wide")
    return Markup(svg)  # noqa: S704 - escaped where it is drawn


def _asset(name: str) -> str:
    return files("pareta_report.render").joinpath("templates", name).read_text(encoding="utf-8")
