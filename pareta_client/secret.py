"""The API key, kept out of everything that is printed, logged or stored."""

from typing import NoReturn


class Secret:
    """A text that only `reveal` shows; it neither prints nor pickles."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text itself, for the one header that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is not pickled: create the client again from the environment where it is needed")
