"""The dataset of a spec: a path or URL, or a mapping of a path and the options of its format. No I/O."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic.json_schema import SkipJsonSchema

from pareta_batch.rows.address import Address
from pareta_batch.rows.frames import Table, is_table
from pareta_batch.spec_base import Spec
from pareta_batch.user_path import UserPath

FileFormat = Literal["csv", "tsv", "jsonl", "json", "parquet", "xlsx", "openai_batch"]

OPENAI_BATCH: FileFormat = "openai_batch"
"""JSON Lines of requests made for OpenAI's batch API."""
FORMATS: tuple[FileFormat, ...] = tuple(each for each in get_args(FileFormat) if each != OPENAI_BATCH)
SUFFIXES: Mapping[str, FileFormat] = {f".{each}": each for each in FORMATS} | {".ndjson": "jsonl"}
COMPRESSIONS: Mapping[str, str] = {".gz": "gzip", ".zst": "zstd"}


class Source(Spec):
    """A dataset with the options of its format."""

    model_config = ConfigDict(title="Dataset")
    options: ClassVar[Mapping[str, tuple[FileFormat, ...]]] = {
        "delimiter": ("csv", "tsv"),
        "decimal": ("csv", "tsv"),
        "encoding": ("csv", "tsv", "jsonl", "json", "openai_batch"),
        "sheet": ("xlsx",),
    }
    """The formats that each option applies to."""

    path: UserPath = Field(
        min_length=1,
        title="Path",
        description="File, folder, glob, s3:// or gs:// URL, or - for standard input",
    )
    format: FileFormat | None = Field(
        None,
        title="Format",
        description="csv, tsv, jsonl, json, parquet, xlsx, openai_batch; by default by suffix",
    )
    delimiter: str | None = Field(
        None, title="Delimiter", description="Character between the fields; by default , in .csv and a tab in .tsv"
    )
    encoding: str | None = Field(
        None, title="Encoding", description="Encoding of a text file (utf-8, cp1252, utf-16); by default UTF-8"
    )
    decimal: Literal[".", ","] | None = Field(
        None, title="Decimal", description="Decimal separator of numbers; with , the number 1.234,5 is read as 1234.5"
    )
    sheet: str | None = Field(None, min_length=1, title="Sheet", description="Sheet of an .xlsx workbook, by name")

    def __str__(self) -> str:
        return self.path

    def __format__(self, spec: str) -> str:
        return format(self.path, spec)

    @model_validator(mode="after")
    def options_are_valid(self) -> "Source":
        _check_path(self.path)
        _check_delimiter(self.delimiter)
        _check_encoding(self.encoding)
        if (kind := self.format or format_of(self.path)) is not None:
            self.check_options(kind)
        return self

    def delimiter_of(self, kind: FileFormat) -> str:
        """Return the delimiter of a file in the format `csv` or `tsv`."""
        return self.delimiter or {"tsv": "\t"}.get(kind, ",")

    def check_options(self, kind: FileFormat) -> None:
        """Check that every option applies to a format; raises ValueError."""
        for option, formats in self.options.items():
            if getattr(self, option) is not None and kind not in formats:
                raise ValueError(f"{option} does not apply to {kind}; it applies to {', '.join(formats)}")
        if self.decimal is not None and self.decimal == self.delimiter_of(kind):
            raise ValueError(f"decimal {self.decimal!r} is also the delimiter; set another one, such as delimiter: ';'")


def format_of(name: str) -> FileFormat | None:
    """Return the format of a file name, ignoring case and the suffix of a compression; None if it is unknown."""
    return SUFFIXES.get(PurePosixPath(_uncompressed(name)).suffix)


def compression_of(name: str) -> str | None:
    """Return the compression of a file name (`gzip`, `zstd`); None without one."""
    return COMPRESSIONS.get(PurePosixPath(name.lower()).suffix)


def _uncompressed(name: str) -> str:
    lower = name.lower()
    suffix = PurePosixPath(lower).suffix
    return lower.removesuffix(suffix) if suffix in COMPRESSIONS else lower


def _check_path(path: str) -> str:
    address = Address.parse(path)
    if compression_of(address.path) is not None and format_of(address.path) in ("parquet", "xlsx"):
        raise ValueError(f"{path!r:.200}: a compressed .parquet or .xlsx is not supported; decompress it")
    return path


def _check_delimiter(delimiter: str | None) -> None:
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n\0'):
        raise ValueError(f"delimiter {delimiter!r:.40}: it must be one character, such as ';'; write a tab as \"\\t\"")


def _check_encoding(encoding: str | None) -> None:
    try:
        "".encode(encoding or "utf-8")
    except (LookupError, ValueError):
        problem = "unknown encoding; use one that Python knows, such as utf-8, cp1252, latin-1 or utf-16"
        raise ValueError(f"encoding {encoding!r:.40}: {problem}") from None


# The tags contain a bracket: messages leave such parts of a field's path out.
_PATH, _OPTIONS, _TABLE = "[path]", "[options]", "[table]"


def _kind(value: object) -> str:
    if isinstance(value, Table):
        return _TABLE
    return _OPTIONS if isinstance(value, Mapping | Source) else _PATH


def _as_any_of(schema: dict[str, Any]) -> None:  # a JSON schema
    # Prefect's form shows alternatives of `anyOf` only.
    schema["anyOf"] = schema.pop("oneOf")


def _tables_wrapped(value: object) -> object:
    return Table.of(value) if is_table(value) else value


AnyDataset: TypeAlias = str | Source | Table
"""A dataset as a spec names it."""

SourceField: TypeAlias = Annotated[
    Annotated[UserPath, Field(min_length=1), AfterValidator(_check_path), Tag(_PATH)]
    | Annotated[Source, Tag(_OPTIONS)]
    | SkipJsonSchema[Annotated[Table, Tag(_TABLE)]],
    Discriminator(_kind),
    BeforeValidator(_tables_wrapped),
    Field(json_schema_extra=_as_any_of),
]
"""A field of a spec that names a dataset."""
