"""Pictures of copyright notices, and their dataset: `python -m examples.notices`, then run examples/notices.yaml.

The text is drawn into each picture, and stored in its description, which the sandbox reads.
"""

import json
from pathlib import Path

FOLDER = Path(".pareta/notices")
NOTICES = (
    "Copyright (c) 2019 Ada Lovelace",
    "Copyright (c) 2021 Grace Hopper\nAll rights reserved.",
    "Copyright 2008-2015 The Example Project",
    "(c) 1999 Blue Widgets Ltd.",
    "Copyright (c) 2024 Katherine Johnson",
    "Copyright (c) 2011-2020 Data Readers Inc.",
)


def write_notices(folder: Path = FOLDER) -> Path:
    """Write the pictures and the dataset; return the path of the dataset."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(NOTICES):
        write_picture(folder / f"{number}.png", text)
    rows = [{"id": f"notice-{number}", "picture": f"{number}.png"} for number in range(len(NOTICES))]
    dataset = folder / "notices.jsonl"
    dataset.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return dataset


def write_picture(path: Path, text: str) -> None:
    """Write a PNG with a text, drawn and as its description."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 1), dpi=100)
    figure.text(0.05, 0.5, text, verticalalignment="center")
    # A constant content: matplotlib writes its version into a picture otherwise.
    figure.savefig(path, format="png", metadata={"Description": text, "Software": None})


if __name__ == "__main__":
    print(f"{write_notices()}: {len(NOTICES)} pictures")
