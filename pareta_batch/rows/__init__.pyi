from .attached_files import FileChanged
from .dataset import Dataset, Row, decimals_of, schema
from .frames import Table, is_table
from .identity import Message, digest, idempotency_key
from .message_files import wire_messages
from .openai_batch import OPENAI_COLUMNS, is_openai_batch
from .readers import CHUNK_ROWS
from .requests import RowRequest, keyed_rows, row_requests
from .source import OPENAI_BATCH, AnyDataset, Source, SourceField
from .storage import is_part, local_files
from .turns import Turn, request_after, turns_of, turns_text
from .values import MAX_NESTING, is_missing, json_text, nesting, text_of

__all__ = [
    "CHUNK_ROWS",
    "MAX_NESTING",
    "OPENAI_BATCH",
    "OPENAI_COLUMNS",
    "AnyDataset",
    "Dataset",
    "FileChanged",
    "Message",
    "Row",
    "RowRequest",
    "Source",
    "SourceField",
    "Table",
    "Turn",
    "decimals_of",
    "digest",
    "idempotency_key",
    "is_missing",
    "is_openai_batch",
    "is_part",
    "is_table",
    "json_text",
    "keyed_rows",
    "local_files",
    "nesting",
    "request_after",
    "row_requests",
    "schema",
    "text_of",
    "turns_of",
    "turns_text",
    "wire_messages",
]
