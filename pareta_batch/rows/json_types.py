"""The Arrow type that fits every value of a JSON column without a loss."""

from dataclasses import dataclass, field
from datetime import datetime

import pyarrow

INT64 = range(-(2**63), 2**63)
UINT64 = range(2**64)


@dataclass
class JsonColumn:
    """The observed values of a column: types, range of integers, and whether floats represent them exactly."""

    kinds: set[type] = field(default_factory=set)
    least: int = 0
    most: int = 0
    exact_as_floats: bool = True

    def see(self, value: object) -> None:
        """Add a value to the observed ones."""
        if value is None:
            return
        self.kinds.add(type(value))
        if type(value) is int:
            self.least, self.most = min(self.least, value), max(self.most, value)
            self.exact_as_floats = self.exact_as_floats and _is_exact(value)

    def type(self) -> pyarrow.DataType:
        """Return the narrowest lossless type; text (JSON) if values are nested, mixed or over 64 bits."""
        if self.kinds == {bool}:
            return pyarrow.bool_()
        if self.kinds == {int} and self.least in INT64 and self.most in INT64:
            return pyarrow.int64()
        if self.kinds == {int} and self.least in UINT64 and self.most in UINT64:
            return pyarrow.uint64()
        if float in self.kinds and self.kinds <= {int, float} and self.exact_as_floats:
            return pyarrow.float64()
        if self.kinds == {datetime}:  # of a workbook
            return pyarrow.timestamp("us")
        return pyarrow.string()


def _is_exact(number: int) -> bool:
    try:
        return int(float(number)) == number
    except OverflowError:
        return False
