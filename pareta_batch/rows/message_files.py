"""Files of messages: their paths, their part of the fingerprint, and the messages as they are sent."""

from collections.abc import Iterator, Sequence

from pareta_batch.rows.attached_files import REFERENCE, Part, identity_of_part, read_part
from pareta_batch.rows.identity import Message


def file_paths(messages: Sequence[Message]) -> list[str]:
    """Return the paths of the attached files, in order."""
    return [part["path"] for part in _references(messages)]


def identity_of(messages: Sequence[Message]) -> list[Message]:
    """Return the messages as they count in the fingerprint: files by their content, not by their place."""
    if not any(_references(messages)):
        return list(messages)
    return [
        {**each, "content": [*map(identity_of_part, each["content"])]} if _is_list(each) else each for each in messages
    ]


def wire_messages(messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages as they are sent, with the bytes of their files. Raises FileChanged."""
    if not any(_references(messages)):
        return messages
    return [{**each, "content": [*map(read_part, each["content"])]} if _is_list(each) else each for each in messages]


def _references(messages: Sequence[Message]) -> Iterator[Part]:
    for message in messages:
        if _is_list(message):
            yield from (part for part in message["content"] if part.get("type") == REFERENCE)


def _is_list(message: Message) -> bool:
    return isinstance(message.get("content"), list)
