"""1,000 documents with at most 16 calls in flight."""

import asyncio
import sys
from collections import Counter

from pareta_client import AsyncPareta

DOCUMENTS = [f"Document {number}. MIT License. Permission is hereby granted." for number in range(1_000)]


async def main(endpoint: str) -> None:
    """Send one request per document, and print the count of each answer and the total cost."""
    allowed = asyncio.Semaphore(16)
    async with AsyncPareta.from_env() as pa:

        async def ask(document: str) -> tuple[str | None, int]:
            async with allowed:
                answer = await pa.chat.completions.create(
                    model=endpoint, messages=[{"role": "user", "content": document}]
                )
            return answer.choices[0].message.content, answer.billed_micro_usd or 0

        answers = await asyncio.gather(*(ask(document) for document in DOCUMENTS))
    print(f"{len(answers)} answers: {dict(Counter(text for text, _ in answers))}")
    print(f"billed: {sum(billed for _, billed in answers)} micro-USD")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
