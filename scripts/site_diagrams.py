"""Diagrams of the documentation as pictures: `python -m scripts.site_diagrams MERMAID_JS`.

GitHub draws the Mermaid text of a page. The site shows a picture of the same text, so that a page loads nothing from
elsewhere. MERMAID_JS is the file `dist/mermaid.min.js` of the npm package `mermaid`; Chromium draws.
"""

import argparse
import base64
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from pymdownx.superfences import SuperFencesException

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = DOCS / "diagrams"
FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DRAWN = re.compile(r'<pre id="drawn">([A-Za-z0-9+/=]+)</pre>')
WITHIN_S = 120
"""Seconds for all pictures. Raising it waits longer for a slow browser."""

PAGE = """<!doctype html><meta charset="utf-8"><body><script src="{script}"></script><script>
const texts = {texts};
mermaid.initialize({{startOnLoad: false, theme: "neutral", htmlLabels: false, flowchart: {{htmlLabels: false}}}});
(async () => {{
  const drawn = {{}};
  for (const [name, text] of Object.entries(texts)) drawn[name] = (await mermaid.render("d" + name, text)).svg;
  const bytes = new TextEncoder().encode(JSON.stringify(drawn));
  const pre = document.createElement("pre");
  pre.id = "drawn";
  pre.textContent = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  document.body.replaceChildren(pre);
}})();
</script>"""


def fence(source: str, language: str, class_name: str, options: Any, md: Any, **_: Any) -> str:
    """Return the picture of a diagram, for the Markdown extension; raise SuperFencesException without one."""
    picture = picture_of(source)
    if not picture.exists():
        raise SuperFencesException(f"{picture}: missing picture; draw it with: python -m scripts.site_diagrams")
    return f'<div class="diagram">{picture.read_text(encoding="utf-8")}</div>'


def picture_of(text: str) -> Path:
    """Return the path of the picture of a diagram; another text has another path."""
    return PICTURES / f"{_name(text)}.svg"


def diagrams() -> Iterator[str]:
    """Yield the Mermaid text of every diagram of the documentation."""
    for page in sorted(DOCS.rglob("*.md")):
        yield from FENCE.findall(page.read_text(encoding="utf-8"))


def draw(texts: dict[str, str], script: Path, browser: str) -> dict[str, str]:
    """Return the SVG of each Mermaid text, by its name."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(PAGE.format(script=script.resolve().as_uri(), texts=json.dumps(texts)), encoding="utf-8")
        options = ("--headless", "--no-sandbox", "--allow-file-access-from-files", "--virtual-time-budget=60000")
        command = [browser, *options, f"--user-data-dir={folder}/profile", "--dump-dom", page.as_uri()]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=True).stdout  # noqa: S603
    found = DRAWN.search(shown)
    if found is None:
        raise SystemExit(f"no pictures drawn; the page ends with: {shown[-500:]}")
    drawn: dict[str, str] = json.loads(base64.b64decode(found[1]))
    return drawn


def _name(text: str) -> str:
    return sha256(text.strip().encode()).hexdigest()[:16]


def main() -> None:
    """Draw every diagram that has no picture, and delete the pictures of texts that are gone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("script", type=Path, metavar="MERMAID_JS")
    parser.add_argument("--browser", default="chromium")
    options = parser.parse_args()
    texts = {_name(text): text for text in diagrams()}
    for old in PICTURES.glob("*.svg"):
        if old.stem not in texts:
            old.unlink()
    missing = {name: text for name, text in texts.items() if not (PICTURES / f"{name}.svg").exists()}
    PICTURES.mkdir(exist_ok=True)
    for name, svg in draw(missing, options.script, options.browser).items() if missing else ():
        (PICTURES / f"{name}.svg").write_text(svg + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
