from .dataset import CHUNK_ROWS, Dataset, Row, decimals_of, schema
from .identity import Message, digest, idempotency_key
from .requests import RowRequest, keyed_rows, row_requests
from .values import MAX_NESTING, is_missing, json_text, nesting, text_of

__all__ = [
    "CHUNK_ROWS",
    "MAX_NESTING",
    "Dataset",
    "Message",
    "Row",
    "RowRequest",
    "decimals_of",
    "digest",
    "idempotency_key",
    "is_missing",
    "json_text",
    "keyed_rows",
    "nesting",
    "row_requests",
    "schema",
    "text_of",
]
