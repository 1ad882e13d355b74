"""A small batch at once: one concurrent call per document."""

import asyncio
import sys

from pareta_client import AsyncPareta

DOCUMENTS = [f"Copyright {year} Example Ltd. MIT License. Permission is hereby granted." for year in range(2000, 2020)]


async def main(endpoint: str) -> None:
    """Send one request per document, and print the answers in the order of the documents."""
    async with AsyncPareta.from_env() as pa:
        answers = await asyncio.gather(
            *(
                pa.chat.completions.create(model=endpoint, messages=[{"role": "user", "content": document}])
                for document in DOCUMENTS
            )
        )
    for document, answer in zip(DOCUMENTS, answers, strict=True):
        print(f"{document[:14]}: {answer.choices[0].message.content}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
