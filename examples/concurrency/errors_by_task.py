"""Handling of errors by call: a failed call does not affect the other calls."""

import asyncio
import sys

from pareta_client import AsyncPareta, ChatCompletion, ParetaError, verdict_of

DOCUMENTS = [
    "MIT License. Permission is hereby granted.",
    "Apache License, Version 2.0",
    "GNU General Public License v3",
]


async def main(endpoint: str) -> None:
    """Send requests to a valid and to an unknown endpoint, and print an answer or a verdict for each."""
    async with AsyncPareta.from_env() as pa:
        asked = [(model, document) for model in (endpoint, "ep_does_not_exist") for document in DOCUMENTS]
        outcomes = await asyncio.gather(
            *(
                pa.chat.completions.create(model=model, messages=[{"role": "user", "content": document}])
                for model, document in asked
            ),
            return_exceptions=True,
        )
    for (model, document), outcome in zip(asked, outcomes, strict=True):
        match outcome:
            case ChatCompletion():
                print(f"{model} {document[:12]!r}: {outcome.choices[0].message.content}")
            case ParetaError():
                print(f"{model} {document[:12]!r}: {type(outcome).__name__}, {verdict_of(outcome).value}")
            case BaseException():
                raise outcome


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
