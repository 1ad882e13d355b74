"""The API key, kept out of everything that is printed, logged or stored."""

from typing import NoReturn


class Secret:
    """A text that only `reveal` and `bearer` show; it neither prints nor pickles."""

    __slots__ = ("_text", "bearer")

    def __init__(self, text: str) -> None:
        self._text = text
        self.bearer = f"Bearer {text}"

    def reveal(self) -> str:
        """Give the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is not pickled: create the client again from the environment where it is needed")
