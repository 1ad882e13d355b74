"""Identification of licences at five skill levels, from title words to distinctive clauses."""

import re
from collections.abc import Callable
from functools import lru_cache

from pareta_sandbox.models.prompts import ParsedPrompt

UNKNOWN = "NOASSERTION"  # the SPDX value for an unknown licence

TITLES = (
    (re.compile(r"apache", re.I), "Apache-2.0"),
    (re.compile(r"mozilla", re.I), "MPL-2.0"),
    (re.compile(r"\bGPL|gnu general", re.I), "GPL-3.0-only"),
    (re.compile(r"\bisc\b", re.I), "ISC"),
    (re.compile(r"\bbsd\b", re.I), "BSD-3-Clause"),
    (re.compile(r"\bmit\b", re.I), "MIT"),
)

GRANTS = (
    ("permission is hereby granted, free of charge", "MIT"),
    ("redistribution and use in source and binary forms", "BSD-3-Clause"),
    ("mozilla public license", "MPL-2.0"),
    ("apache license", "Apache-2.0"),
    ("gnu general public license", "GPL-3.0-only"),
)

# Ordered by specificity: a text may quote another licence.
CLAUSES = (
    ("boost software license", "BSL-1.0"),
    ("this is free and unencumbered software released into the public domain", "Unlicense"),
    ("the origin of this software must not be misrepresented", "Zlib"),
    ("gnu affero general public license", "AGPL-3.0-only"),
    ("gnu lesser general public license", "LGPL-3.0-only"),
    ("gnu general public license", "GPL-3.0-only"),
    ("mozilla public license", "MPL-2.0"),
    ("licensed under the apache license", "Apache-2.0"),
    ("apache license version 2.0", "Apache-2.0"),
    ("apache license, version 2.0", "Apache-2.0"),
    ("apache software license 2.0", "Apache-2.0"),
    ("permission is hereby granted, free of charge", "MIT"),
    ("redistribution and use in source and binary forms", "BSD-3-Clause"),
    ("permission to use, copy, modify, and/or distribute this software for any purpose", "ISC"),
    ("permission to use, copy, modify, and distribute this software for any purpose", "ISC"),
)

BELOW = re.compile(r"(?:under the terms of|licensed under) the (mit|apache|bsd)\b")


def answer(level: int, prompt: ParsedPrompt) -> str:
    """Name the licence of the document, as an SPDX identifier or as a sentence."""
    licence = identify(level, prompt.document)
    wanted = prompt.instruction.lower()
    if not wanted or any(word in wanted for word in ("spdx", "identifier", "only", "label")):
        return licence
    return "I cannot tell which licence this is." if licence == UNKNOWN else f"This is the {licence} licence."


def identify(level: int, document: str) -> str:
    """Return the SPDX identifier that a reader of this level (1 to 5) finds."""
    return READERS[level](document)


def by_title(document: str) -> str:
    """Search for the name of a licence in the first lines."""
    head = document[:160]
    return next((licence for name, licence in TITLES if name.search(head)), UNKNOWN)


def by_grant(document: str) -> str:
    """Search for the sentence that grants the rights, then for the title."""
    text = plain(document[:6000])
    return next((licence for words, licence in GRANTS if words in text), by_title(document))


def by_clauses(document: str) -> str:
    """Search for clauses that only one licence contains."""
    text = plain(document[:20_000])
    found = next((licence for words, licence in CLAUSES if words in text), by_title(document))
    if found == "BSD-3-Clause" and "neither the name" not in text:
        return "BSD-2-Clause"
    return found


def by_first_clause(document: str) -> str:
    """Return the licence whose clause comes first: later ones often belong to vendored code."""
    text = plain(document)
    if "python software foundation license version 2" in text:
        return "PSF-2.0"
    places = [(text.find(words), licence) for words, licence in CLAUSES if words in text]
    return refine(min(places)[1], text) if places else by_title(document)


def by_everything(document: str) -> str:
    """Combine declarations, clauses and their order, and distinguish similar licences."""
    text = plain(document)
    declared = BELOW.search(text[:400])
    if declared and declared.group(1) == "mit":
        return "MIT"
    if "by obtaining, using, and/or copying this software" in text[:3000]:
        return "MIT-CMU"
    found = by_first_clause(document)
    if found == UNKNOWN and "mpl" in text and "2.0" in text:
        return "MPL-2.0"
    return found


def refine(found: str, text: str) -> str:
    """Determine which of the licences with the same first sentence a text contains."""
    if found == "BSD-3-Clause" and not re.search(r"(neither|nor) the name|names? of .{0,80}may (not )?be used", text):
        return "BSD-2-Clause"
    if found == "MIT" and "subject to the following conditions" not in text:
        return "MIT-0"
    if found == "ISC" and "provided that the above copyright notice" not in text:
        return "0BSD"
    if found == "GPL-3.0-only" and re.search(r"(either version 3|version 3 or|any later version)", text[:1500]):
        return "GPL-3.0-or-later"
    return found


@lru_cache(maxsize=256)
def plain(document: str) -> str:
    """Normalise case, white space and quotes, and remove comment markers."""
    text = document.lower().replace("\u201c", '"').replace("\u201d", '"')
    return " ".join(word for word in text.split() if word not in {"#", "*", "//"})


READERS: dict[int, Callable[[str], str]] = {
    1: by_title,
    2: by_grant,
    3: by_clauses,
    4: by_first_clause,
    5: by_everything,
}
