"""Colours of the plot: placeholders for matplotlib, and the CSS of the light and the dark theme."""

from collections.abc import Sequence

# Placeholder colours for matplotlib: CSS variables replace them in the SVG.
INK, MUTED, GRID, OPEN, FRONTIER, SURFACE = (f"#00000{digit}" for digit in range(1, 7))
VARIABLES = dict(
    zip(
        (INK, MUTED, GRID, OPEN, FRONTIER, SURFACE),
        ("ink", "muted", "grid", "open", "frontier", "surface"),
        strict=True,
    )
)
# Ink, muted, grid, open, frontier, surface.
_LIGHT = ("#1c2430", "#5d6878", "#e3e7ed", "#1f6feb", "#b4560b", "#fff")
_DARK = ("#e8ecf2", "#9aa6b6", "#2b3440", "#79b0ff", "#f0a35e", "#161b22")


def _palette(colours: Sequence[str]) -> str:
    return ";".join(f"--plot-{name}:{colour}" for name, colour in zip(VARIABLES.values(), colours, strict=True))


STYLE = (
    f".quality-against-cost{{{_palette(_LIGHT)};font-family:system-ui,sans-serif}}"
    f"@media screen and (prefers-color-scheme:dark){{.quality-against-cost{{{_palette(_DARK)}}}}}"
    ".quality-against-cost *{stroke-linejoin:round;stroke-linecap:butt}"
    ".quality-against-cost text{stroke:var(--plot-surface);stroke-width:3px;paint-order:stroke}"
)
