"""The words of scikit-learn's text vectorizers, for the tokenizer of a converted file."""

from __future__ import annotations

import functools
import re
import sys


@functools.cache
def word_expression() -> str:
    r"""Returns ``\w\w+`` with the characters of ``\w`` written out.

    Python counts the letters and digits of all scripts as characters of words. The engines that
    read a file's expression know ASCII only, or other classes.
    """
    ranges = "".join(_range(first, last) for first, last in _word_ranges())
    return f"[{ranges}]{{2,}}"


def _range(first: int, last: int) -> str:
    if first == last:
        return f"\\x{{{first:x}}}"
    return f"\\x{{{first:x}}}-\\x{{{last:x}}}"


def _word_ranges() -> list[tuple[int, int]]:
    """Returns the first and the last character of each run of characters of words."""
    characters = (chr(number) for number in range(sys.maxunicode + 1))
    text = "".join(char if not 0xD800 <= ord(char) <= 0xDFFF else " " for char in characters)
    return [(run.start(), run.end() - 1) for run in re.finditer(r"\w+", text)]
