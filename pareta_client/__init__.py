"""A client of the Pareta service: `Pareta` and `AsyncPareta`, on httpx and pydantic.

async with AsyncPareta.from_env() as pareta:
    answer = await pareta.chat.completions.create(model="ep_…", messages=[{"role": "user", "content": "…"}])
    print(answer.choices[0].message.content)
"""

import lazy_loader

from pareta_client.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
