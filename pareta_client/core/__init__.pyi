from .assembly import IncompleteStream, assembled, is_event_stream
from .call import Call, as_json, delete, get, post, post_form, segment
from .document import Document, DocumentStream, Uploadable, document_of
from .exchanges import Answer, attempts_of, exchange
from .finish import Finish, finish_of
from .json_reading import Json, note
from .rate_limits import RateLimitBudget, RateLimits, rate_limits_from_headers
from .receipt import NO_RECEIPT, Receipt, added, receipt_from_headers
from .redaction import redacted_json
from .replies import MAX_ERROR_BODY_BYTES, clean_id, json_of, malformed, object_of, record_from, record_of, records_of
from .request import RawHeaders, Request, Timeouts
from .steps import (
    Emit,
    Failed,
    Happened,
    Moment,
    Operation,
    Read,
    ReadClock,
    Received,
    Reply,
    Send,
    Sleep,
    Step,
    read_clock,
    sleep,
)
from .streams import Progress, chat_chunks, deploy_events
from .tracing import Tracing, installed_tracing
from .usable import unusable_reason
from .values import MAX_COUNT, MAX_QUOTED_CHARACTERS, content_of, noted_count, shown
from .waiting import PollTiming, if_transient, poll

__all__ = [
    "MAX_COUNT",
    "MAX_ERROR_BODY_BYTES",
    "MAX_QUOTED_CHARACTERS",
    "NO_RECEIPT",
    "Answer",
    "Call",
    "Document",
    "DocumentStream",
    "Emit",
    "Failed",
    "Finish",
    "Happened",
    "IncompleteStream",
    "Json",
    "Moment",
    "Operation",
    "PollTiming",
    "Progress",
    "RateLimitBudget",
    "RateLimits",
    "RawHeaders",
    "Read",
    "ReadClock",
    "Receipt",
    "Received",
    "Reply",
    "Request",
    "Send",
    "Sleep",
    "Step",
    "Timeouts",
    "Tracing",
    "Uploadable",
    "added",
    "as_json",
    "assembled",
    "attempts_of",
    "chat_chunks",
    "clean_id",
    "content_of",
    "delete",
    "deploy_events",
    "document_of",
    "exchange",
    "finish_of",
    "get",
    "if_transient",
    "installed_tracing",
    "is_event_stream",
    "json_of",
    "malformed",
    "note",
    "noted_count",
    "object_of",
    "poll",
    "post",
    "post_form",
    "rate_limits_from_headers",
    "read_clock",
    "receipt_from_headers",
    "record_from",
    "record_of",
    "records_of",
    "redacted_json",
    "segment",
    "shown",
    "sleep",
    "unusable_reason",
]
