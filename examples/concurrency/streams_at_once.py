"""Several streamed answers at once."""

import asyncio
import sys

from pareta_client import AsyncPareta

QUESTIONS = ["MIT License. Permission is hereby granted.", "Apache License, Version 2.0", "Mozilla Public License 2.0"]


async def main(endpoint: str) -> None:
    """Print every chunk with the number of its stream, then the cost of each stream."""
    async with AsyncPareta.from_env() as pa:

        async def read(number: int, question: str) -> int | None:
            stream = await pa.chat.completions.create(
                model=endpoint, messages=[{"role": "user", "content": question}], stream=True
            )
            async for chunk in stream:
                if text := chunk.choices[0].delta.content:
                    print(f"stream {number}: {text}")
            return stream.billed_micro_usd

        billed = await asyncio.gather(*(read(number, question) for number, question in enumerate(QUESTIONS, start=1)))
    print(f"billed: {billed} micro-USD")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
