"""What is going on, on stderr: a moving line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed

from kerasviz.cli.printing import printable


class Steps:
    """The steps of a command, one after the other.

    Example:
        >>> from kerasviz.cli.progress import Steps
        >>> with Steps() as steps, steps.step("Reading images", total=2) as advance:
        ...     advance()
        ...     advance()
    """

    def __enter__(self) -> Steps:
        self._stream = _own_stderr()
        self._console = Console(file=self._stream, highlight=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not sys.stderr:
            self._stream.close()

    @contextlib.contextmanager
    def step(self, text: str, total: int | None = None) -> Iterator[Callable[[], None]]:
        """Show a step for as long as the context lasts.

        Args:
            text: What is being done.
            total: How often the yielded function will be called; None when that is not known.

        Returns:
            A context that yields the function to call after each part of the step.
        """
        if not self._console.is_terminal:
            self.say(f"{text} …")
            yield lambda: None
            return
        columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False), Elapsed()]
        if total is not None and total > 1:
            columns[2:2] = [BarColumn(), MofNCompleteColumn()]
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(text, total=total)
            yield lambda: progress.advance(task)

    def say(self, text: str) -> None:
        """Print one line on stderr."""
        self._console.print(printable(text), markup=False, soft_wrap=True)


def _own_stderr() -> TextIO:
    """Stderr by a file descriptor of its own, which lasts while TensorFlow's is held back."""
    try:
        if sys.stderr.fileno() != 2:
            return sys.stderr
    except (OSError, ValueError, AttributeError):
        return sys.stderr
    sys.stderr.flush()
    return os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="replace", buffering=1)
