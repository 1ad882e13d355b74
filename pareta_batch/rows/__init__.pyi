from .address import Address
from .attached_files import FileChanged
from .dataset import Dataset, Row, decimals_of, schema
from .frames import Table, is_table
from .identity import Message, digest, idempotency_key
from .message_files import wire_messages
from .openai_batch import OPENAI_COLUMNS, is_openai_batch
from .readers import CHUNK_ROWS
from .requests import RowRequest, keyed_rows, row_requests
from .source import OPENAI_BATCH, AnyDataset, Source, SourceField
from .storage import FOLDER_OWNER, SUCCESS, files_below, is_part, local_files, problem_of, store_of
from .turns import Turn, request_after, turns_of, turns_text
from .values import MAX_NESTING, is_missing, json_text, nesting, text_of

__all__ = [
    "CHUNK_ROWS",
    "FOLDER_OWNER",
    "MAX_NESTING",
    "OPENAI_BATCH",
    "OPENAI_COLUMNS",
    "SUCCESS",
    "Address",
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
    "files_below",
    "idempotency_key",
    "is_missing",
    "is_openai_batch",
    "is_part",
    "is_table",
    "json_text",
    "keyed_rows",
    "local_files",
    "nesting",
    "problem_of",
    "request_after",
    "row_requests",
    "schema",
    "store_of",
    "text_of",
    "turns_of",
    "turns_text",
    "wire_messages",
]
