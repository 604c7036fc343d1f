"""The exceptions of this package."""

from __future__ import annotations


# The most characters of a text of another library within an error.
_LONGEST = 300


def shortened(text: str) -> str:
    """Returns a text on one line, without its middle if it is long."""
    plain = " ".join(text.splitlines())
    if len(plain) <= _LONGEST:
        return plain
    return f"{plain[: _LONGEST * 2 // 3]} … {plain[-_LONGEST // 3 :]}"


class Error(Exception):
    """An answer of the server other than success, or no answer at all.

    Attributes:
        status: The HTTP status; 0 if the server could not be reached.
        code: The server's code for programs, such as ``load_failed``; empty if it sent none.
        text: The server's text, as it was sent.
        retry_after: The seconds after which the server suggests to try again, if it does.
    """

    def __init__(
        self, status: int, text: str, code: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {text}" if code else f"{status}: {text}")
        self.status = status
        self.code = code
        self.text = text
        self.retry_after = retry_after


class Unreachable(Error, ConnectionError):
    """The server cannot be reached, or the connection ended before its answer."""

    def __init__(self, text: str) -> None:
        super().__init__(0, text, "unreachable")


class NotSaved(ValueError):
    """The model cannot be saved so that it answers as the original does.

    The text names what stands in the way and what to do; where a row is answered otherwise than by
    the original, it contains that row.
    """
