"""Tables in memory as datasets: pandas, polars, Arrow, and each object with the Arrow PyCapsule interface."""

import re
from typing import TYPE_CHECKING, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from pareta_batch.errors import DatasetError, shown

if TYPE_CHECKING:
    import pyarrow

_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")


def is_table(value: object) -> bool:
    """Return whether a value is a table in memory: it exports an Arrow stream."""
    return hasattr(value, "__arrow_c_stream__")


class Table:
    """A dataset in memory, as an Arrow table. An unnamed index of pandas is no column."""

    def __init__(self, content: "pyarrow.Table") -> None:
        self.content = content

    @classmethod
    def of(cls, value: Any) -> "Table":  # any object with the PyCapsule interface
        """Return the table of a data frame; raises DatasetError for columns that Arrow cannot hold."""
        import pyarrow

        try:
            content = pyarrow.RecordBatchReader.from_stream(value).read_all()
        except (TypeError, ValueError, pyarrow.ArrowException) as error:
            problem = f"a column is not readable as Arrow ({shown(error)}); convert it to one type"
            raise DatasetError([f"{type(value).__name__} in memory: {problem}"]) from error
        unnamed = [name for name in content.column_names if _UNNAMED_INDEX.fullmatch(name)]
        content = content.drop_columns(unnamed) if unnamed else content
        # Parquet has no views of texts.
        plain = [
            each.with_type(pyarrow.string()) if each.type == pyarrow.string_view() else each for each in content.schema
        ]
        return cls(content.cast(pyarrow.schema(plain)))

    def __str__(self) -> str:
        return f"<table of {self.content.num_rows} rows>"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.is_instance_schema(cls, serialization=core_schema.to_string_ser_schema(when_used="json"))
