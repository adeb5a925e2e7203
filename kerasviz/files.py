"""Writing files whole or not at all; below all rooms."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from kerasviz.errors import OutputError


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> Path:
    """Write a file so that it is either complete or, after any failure, as it was before.

    Args:
        path: The file; missing folders are made, a link is followed.
        write: Called with the file, open for writing bytes.

    Returns:
        The path.

    Raises:
        OutputError: When the folder or file can't be written, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".kerasviz-{uuid.uuid4().hex}.part")
    try:
        _refuse_non_file(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        _fill(temporary, write)
        os.replace(temporary, target)
    except OSError as error:
        raise OutputError(
            f"`path` must be a file that can be written. Received: {str(path)!r} "
            f"({error.strerror or error}). Choose a folder that you may write to, with free space."
        ) from error
    finally:
        _discard(temporary)
    return Path(path)


def _refuse_non_file(target: Path) -> None:
    if target.exists() and not target.is_file():
        raise OSError(0, "Is a folder or a device, not a file")


def _fill(temporary: Path, write: Callable[[BinaryIO], object]) -> None:
    with open(temporary, "xb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def _discard(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return
