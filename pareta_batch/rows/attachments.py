"""Attachments of a row: files and URLs from its columns, as content parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pareta_batch.question import Attachment
from pareta_batch.rows.attached_files import (
    MAX_ROW_BYTES,
    FileReferences,
    Part,
    check_kind,
    inline_type,
    is_remote,
    url_part,
    wire_part,
)
from pareta_batch.rows.attached_places import Root, resolved
from pareta_batch.rows.file_types import NAMES, Kind
from pareta_batch.rows.placeholders import MissingValue, value_of

Specs = Sequence[Attachment]


@dataclass(frozen=True)
class Attacher:
    """The attachments of a batch's rows.

    Relative paths of a column begin at `base`. With `only_below`, no file outside of that folder is attached.
    """

    base: Root
    only_below: Root | None = None
    _files: FileReferences = field(default_factory=FileReferences)

    def parts(self, specs: Specs, values: Mapping[str, object]) -> list[Part]:
        """Return the content parts of a row; raises ValueError for a missing or an invalid attachment."""
        return [part for spec in specs for part in self._parts(spec, values)]

    def file(self, place: str, kind: Kind | None = None) -> Part:
        """Return the reference of a file; raises ValueError."""
        return self._files.of(resolved(place, self.base, self.only_below), kind)

    def _parts(self, spec: Attachment, values: Mapping[str, object]) -> list[Part]:
        if spec.path is not None:
            return [self._part(spec.path, spec, Path())]
        assert spec.column is not None
        try:
            value = value_of(spec.column, values)
        except MissingValue:
            if spec.optional:
                return []
            raise
        given = value if isinstance(value, list | tuple) else [value]
        if not all(isinstance(each, str) and each for each in given) or not (given or spec.optional):
            raise ValueError(f"{spec.column!r} is {value!r:.60}; write a path, a URL, or a list of them")
        return [self._part(str(each), spec, self.base) for each in given]

    def _part(self, place: str, spec: Attachment, base: Root) -> Part:
        if is_remote(place):
            if spec.kind not in (None, "image"):
                raise ValueError(
                    f"URL {place[:200]!r}: only images are sent as a URL, not {NAMES[spec.kind]}; download it"
                )
            return url_part(place, spec.detail)
        if place.startswith("data:"):
            media_type, _ = inline_type(place, "the data URL")
            check_kind(media_type, spec.kind, "the data URL")
            return wire_part(media_type, place.partition(",")[2], spec.detail)
        reference = self._files.of(resolved(place, base, self.only_below), spec.kind)
        return {**reference, "detail": spec.detail} if spec.detail else reference


def check_row_size(parts: Sequence[Part]) -> None:
    """Raise ValueError if the files of a row are too large together."""
    if (size := sum(int(part.get("bytes", 0)) for part in parts)) > MAX_ROW_BYTES:
        raise ValueError(f"its files have {size:,} bytes together; at most {MAX_ROW_BYTES:,} can be attached to a row")
