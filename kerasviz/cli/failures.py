"""What the command line says, and returns, when something goes wrong."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import typer

from kerasviz.cli.printing import printable
from kerasviz.cli.quiet import no_foreign_warnings
from kerasviz.errors import KerasvizError

SOME_FAILED = 1
REFUSED = 2
INTERNAL_ERROR = 70
_OUT_OF_MEMORY = ("MemoryError", "ResourceExhaustedError")

Command = TypeVar("Command", bound=Callable[..., bool | None])


def one_line_errors(command: Command) -> Command:
    """Make a command end with one line on stderr, and an exit code, where it would raise.

    The exit codes: 1 when the command did a part, 2 when what the user asked for cannot be done, 70
    for a fault of our own. With `debug=True` among its arguments the traceback is printed first,
    and warnings are shown.

    Args:
        command: A function for the command line. It may return whether it did all it was asked.

    Returns:
        The function with the same signature.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            with no_foreign_warnings(bool(kwargs.get("debug"))):
                complete = command(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
            raise
        except Exception as error:
            if kwargs.get("debug"):
                typer.echo(traceback.format_exc(), err=True, nl=False)
            raise typer.Exit(_report(error)) from error
        if complete is False:
            raise typer.Exit(SOME_FAILED)

    return run  # type: ignore[return-value]


def say_error(text: str) -> None:
    """Print one line on stderr that begins with "Error:"."""
    typer.secho("Error: ", fg="red", err=True, nl=False)
    typer.echo(printable(text), err=True)


def say_skipped(failures: Sequence[tuple[str, str]]) -> None:
    """Print one line on stderr for each image that could not be read."""
    for name, reason in failures:
        say_error(f"Expected an image. Received: {name}, which {reason}. It was skipped.")


def _report(error: Exception) -> int:
    if isinstance(error, KerasvizError):
        say_error(str(error))
        return REFUSED
    if type(error).__name__ in _OUT_OF_MEMORY:
        say_error("Expected to hold the computation in memory. Pass fewer images at a time.")
        return REFUSED
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    say_error(f"internal error ({reason[:300]}). Run with --debug for the traceback.")
    return INTERNAL_ERROR
