from .channel import AsyncChannel as AsyncChannel
from .channel import Channel as Channel
from .channel import async_channel_for as async_channel_for
from .channel import channel_for as channel_for
from .dispatcher import AsyncDispatcher as AsyncDispatcher
from .dispatcher import Dispatcher as Dispatcher
from .stream import AsyncStream as AsyncStream
from .stream import Stream as Stream
