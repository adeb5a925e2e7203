"""Files and names that outlive a power cut, and the one error when they can't be written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from kerasviz.errors import OutputError
from kerasviz.files import write_atomically


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file whole or not at all, and its name for good.

    Raises:
        OutputError: It can't be written; what was there is left.
    """
    is_new = not path.parent.exists()
    try:
        write_atomically(path, write)
        sync_folder(path.parent)
        if is_new:
            sync_folder(path.parent.parent)
    except OSError as error:
        cause = error.__cause__ if isinstance(error, OutputError) else error
        raise cannot_write(path.parent, cause or error) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlive a power cut, where the system lets one ask for it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def cannot_write(folder: Path, error: BaseException) -> OutputError:
    """The one error for a folder that takes nothing more."""
    reason = getattr(error, "strerror", None) or error
    return OutputError(
        f"`folder` must be a folder that can be written. Received: {str(folder)!r} ({reason}). "
        "Choose a folder that you may write to, with free space; what is finished is kept."
    )
