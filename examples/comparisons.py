"""Three generated eval sets of 200 rows each for `examples/comparisons.yaml`.

python -m examples.comparisons
"""

import json
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

ROWS = 200
FOLDER = Path(".pareta/comparisons")

Row = dict[str, Any]  # a JSON object

OPENINGS = ("", "Hello! ", "Writing for the second time. ")
THINGS = (
    *("kettle", "headset", "backpack", "desk lamp", "keyboard", "blender", "tent", "camera", "office chair", "router"),
    *("watch", "toaster", "monitor", "jacket", "coffee grinder", "suitcase", "bike light", "speaker", "printer", "fan"),
)
REVIEWS = (
    ("I love this {thing}, it is great.", "positive"),
    ("The {thing} is terrible, I hate it.", "negative"),
    ("Not a bad {thing} at all.", "positive"),
    ("I would not recommend this {thing}.", "negative"),
    ("Great box, great manual, but the {thing} itself is useless and broken.", "negative"),
    ("Bad delivery and bad packing, but the {thing} works wonderfully and I am pleased.", "positive"),
    ("This {thing} exceeded my expectations.", "positive"),
    ("The {thing} fell apart within a week. Never again.", "negative"),
    ("Just what I needed, another {thing}. Thanks for nothing.", "negative"),
    ("It is a {thing}. It came on Tuesday.", "neutral"),
)
NUMBERS = tuple(f"{number:04}" for number in range(1017, 1017 + 29 * 25, 29))
TICKETS = (
    ("I was charged twice on invoice {n}, please refund one of the payments.", "billing"),
    ("The payment page crashes with an error after I enter card {n}.", "technical"),
    ("I cannot log in any more as user {n}, the password mail never arrives.", "account"),
    ("Parcel {n} has not arrived and the tracking page says nothing.", "shipping"),
    ("We are {n} people: can you send us a quote for the enterprise plan?", "sales"),
    ("My login works, but where is the delivery of order {n}? Please tell me when it will be shipped.", "shipping"),
    ("We pay for {n} seats. Could you tell us what discount there is for more volume?", "sales"),
    ("Your courier was friendly, but ticket {n} is about my two-factor code: I need it reset.", "account"),
)
HOLDERS = ("Ada Lindqvist", "The Kestrel Authors", "Juniper Works Ltd.", "Open Tide Foundation", "Tomás Rivera")
YEARS = ("2009", "2012", "2015", "2018", "2021")
NOTICES = (
    ("Copyright (c) {year} {holder}\n\nPermission is hereby granted, free of charge.", None, None),
    ("Copyright © {year}-2024, {holder}\nAll rights reserved.", None, None),
    ("(c) {year} by {holder}\n\nThis agreement is effective as of March 4, 2022.", "2022-03-04", None),
    ("/*\n * Copyright {year} {holder}\n */\nGoverned by the laws of Sweden.", None, "Sweden"),
    (
        "Copyright {year}, {holder}. Effective 1 May 2023, and governed by the laws of the State of Ohio.",
        *("2023-05-01", "State of Ohio"),
    ),
)
ENDINGS = ("", "\nNo warranty of any kind.", "\nVersion 2.")


def reviews() -> Iterator[Row]:
    """Yield reviews with their sentiment."""
    for opening, thing, (review, feeling) in product(OPENINGS, THINGS, REVIEWS):
        yield {"input": {"document": opening + review.format(thing=thing)}, "expected": feeling}


def tickets() -> Iterator[Row]:
    """Yield support tickets with their team."""
    for opening, number, (ticket, team) in product(OPENINGS, NUMBERS, TICKETS):
        yield {"input": {"document": opening + ticket.format(n=number)}, "expected": team}


def notices() -> Iterator[Row]:
    """Yield licence notices with their fields; rows of one holder and year form a group."""
    for ending, year, holder, (notice, effective, law) in product(ENDINGS, YEARS, HOLDERS, NOTICES):
        document = notice.format(year=year, holder=holder) + ending
        fields = {"copyright_holder": holder, "year": year, "effective_date": effective, "governing_law": law}
        yield {"input": {"document": document}, "expected": fields, "group": f"{holder} {year}"}


def write(name: str, rows: Iterable[Row]) -> Path:
    """Write a random sample of ROWS rows as JSON lines, and return the path."""
    path = FOLDER / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = Random(name).sample(list(rows), ROWS)  # noqa: S311 - a fixed seed: the same rows on every machine
    lines = [json.dumps(row, ensure_ascii=False) for row in chosen]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


if __name__ == "__main__":
    for name, rows in (("reviews", reviews()), ("tickets", tickets()), ("notices", notices())):
        print(write(name, rows))
