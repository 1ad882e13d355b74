from .channel import AsyncChannel, Channel, async_channel_for, channel_for
from .dispatcher import AsyncDispatcher, Dispatcher
from .stream import AsyncStream, Stream

__all__ = [
    "AsyncChannel",
    "AsyncDispatcher",
    "AsyncStream",
    "Channel",
    "Dispatcher",
    "Stream",
    "async_channel_for",
    "channel_for",
]
