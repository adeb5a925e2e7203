"""Text from files, made safe to print in a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Put text in one line, without control characters.

    Args:
        text: Anything; a model file may hold escape sequences in its names.

    Returns:
        The text with every run of blanks and control characters replaced by one blank.

    Example:
        >>> from kerasviz.cli.printing import printable
        >>> printable("conv\\x1b[2J\\n 2")
        'conv [2J 2'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
