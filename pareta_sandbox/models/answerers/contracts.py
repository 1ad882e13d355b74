"""Extraction of fields from contract and licence texts, at five skill levels."""

import json
import re

from pareta_sandbox.models.answerers import licences
from pareta_sandbox.models.prompts import ParsedPrompt

Fields = dict[str, str | None]

DEFAULT_FIELDS = ("copyright_holder", "year")

# Names of a field in instructions, most specific first; the answer uses the spelling of the instruction.
NAMES = {
    "copyright_holder": r"copyright[_ ]holders?|copyright[_ ]owner|holder|owner",
    "year": r"copyright[_ ]year|first[_ ]year|year",
    "effective_date": r"effective[_ ]date|start[_ ]date",
    "governing_law": r"governing[_ ]law|jurisdiction",
    "parties": r"parties",
    "license": r"licen[cs]e(?:[_ ](?:id|name|type))?(?=[^a-z ]|$| and| or)",
}

MONTH = "january|february|march|april|may|june|july|august|september|october|november|december"
MONTHS = MONTH.split("|")
NAIVE_NOTICE = re.compile(r"Copyright \(c\) (\d{4}) ([^\n]+)")
NOTICE = re.compile(r"(?:copyright|\(c\)|©)(?:\s|\(c\)|©|:)*(.*)", re.IGNORECASE)
YEARS = re.compile(r"\b((?:19|20)\d\d)(?:\s*[-–—,]\s*(?:(?:19|20)\d\d|present))*(?:\s+to\s+(?:present|\d{4}))?", re.I)
WRITTEN_DATE = re.compile(rf"\b({MONTH})\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})", re.IGNORECASE)
DAY_FIRST_DATE = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: day of)?\s+({MONTH}),?\s+(\d{{4}})", re.IGNORECASE)
ISO_DATE = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")
LAW = re.compile(r"laws? of (?:the )?((?:State|Commonwealth|Province|Republic|Kingdom) of )?([A-Z]\w+(?: [A-Z]\w+)*)")
PARTIES = re.compile(
    r"between\s+(.+?)\s+(?:\([^)]*\)\s*)?(?:,\s*)?and\s+(.+?)(?:\s*\(|[,.;]|\s+dated|\s+is\b)", re.DOTALL
)


def answer(level: int, prompt: ParsedPrompt) -> str:
    """Return the requested fields as a JSON object; the default is copyright holder and year."""
    fields = {key: _field(level, name, prompt.document) for name, key in requested_fields(prompt.instruction).items()}
    if level == 1:
        # The weakest model does not escape quotes, so that some answers are invalid JSON.
        pairs = (f'"{k}": ' + ("null" if v is None else f'"{v}"') for k, v in fields.items())
        return "{" + ", ".join(pairs) + "}"
    return json.dumps(fields, ensure_ascii=False)


def requested_fields(instruction: str) -> dict[str, str]:
    """Map each requested field to its key in the answer."""
    requested: dict[str, str] = {}
    remaining = instruction.lower()
    for name, pattern in NAMES.items():
        found = re.search(rf"(?<![a-z])(?:{pattern})(?![a-z])", remaining)
        if found:
            requested[name] = found.group().replace(" ", "_")
            # 'copyright holder' must not match 'holder' again.
            remaining = remaining.replace(found.group(), " ")
    return requested or {name: name for name in DEFAULT_FIELDS}


def _field(level: int, name: str, document: str) -> str | None:
    match name:
        case "copyright_holder":
            return holder(level, document)
        case "year":
            return year(level, document)
        case "effective_date":
            return effective_date(level, document)
        case "governing_law":
            return governing_law(level, document)
        case "parties":
            return parties(document)
        case _:
            return licences.identify(level, document)


def holder(level: int, document: str) -> str | None:
    """Return the copyright holder as spelled in the text, or None."""
    if level == 1:
        found = NAIVE_NOTICE.search(document)
        return found.group(2).strip() if found else None
    for notice in _notices(document):
        name = _bare_name(YEARS.sub("", notice), level)
        if name:
            return name
    return None


def _bare_name(text: str, level: int) -> str:
    name = re.sub(r"^(present|\W)+", "", text.strip(), flags=re.IGNORECASE)
    name = re.sub(r"^by\s+", "", name)
    if level >= 3:
        name = re.split(r"\s*(?:all rights reserved|<[^>]*>|\(?https?://|\[https?)", name, flags=re.IGNORECASE)[0]
    if level >= 4:
        name = re.sub(r"^\[([^]]+)\]\([^)]*\)", r"\1", name)
    if level >= 5:
        name = re.sub(r"\s*\([^)]*@[^)]*\)", "", name)
    return name.strip(" .,;-" if level >= 3 else " ")


def year(level: int, document: str) -> str | None:
    """Return the first year of the copyright notice, or None."""
    if level == 1:
        found = NAIVE_NOTICE.search(document)
        return found.group(1) if found else None
    for notice in _notices(document):
        first = YEARS.search(notice)
        if first:
            return first.group(1)
    return None


def _notices(document: str) -> list[str]:
    # A notice begins a line; 'the above copyright notice' is no notice.
    lines = (line.strip(" *#/\t") for line in document.splitlines())
    starts = re.compile(
        r"(portions |\W)?(copyright\b(?! (notice|holder|owner|license|statement))|\(c\)|©)", re.IGNORECASE
    )
    found = (NOTICE.search(line) for line in lines if starts.match(line))
    return [notice.group(1) for notice in found if notice and notice.group(1)]


def effective_date(level: int, document: str) -> str | None:
    """Return the effective date of an agreement as YYYY-MM-DD, or None."""
    if level >= 3:
        # Prefer a date after the word "effective" over the first date in the text.
        near = re.search(
            r"(?:effective|commenc\w+|entered into|takes effect|as of)\b(.{0,80})", document, re.I | re.DOTALL
        )
        dated = _date(level, near.group(1)) if near else None
        if dated:
            return dated
    return _date(level, document)


def _date(level: int, text: str) -> str | None:
    iso, written = ISO_DATE.search(text), WRITTEN_DATE.search(text)
    # Low levels prefer an ISO date; level 5 takes the first date.
    if iso and not (level >= 5 and written and written.start() < iso.start()):
        return iso.group()
    if written:
        month, day, in_year = written.groups()
        return f"{in_year}-{MONTHS.index(month.lower()) + 1:02}-{int(day):02}"
    day_first = DAY_FIRST_DATE.search(text) if level >= 4 else None
    if day_first:
        day, month, in_year = day_first.groups()
        return f"{in_year}-{MONTHS.index(month.lower()) + 1:02}-{int(day):02}"
    return None


def governing_law(level: int, document: str) -> str | None:
    """Return the jurisdiction of the governing law, or None."""
    found = LAW.search(" ".join(document.split()))
    if not found:
        return None
    # Low levels keep 'State of', which is wrong.
    return found.group(2) if level >= 3 else f"{found.group(1) or ''}{found.group(2)}"


def parties(document: str) -> str | None:
    """Return the two parties, joined by a semicolon, or None."""
    found = PARTIES.search(document)
    return "; ".join(" ".join(name.split()).strip(" ,") for name in found.groups()) if found else None
