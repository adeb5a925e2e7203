"""One writing process for a folder: a lock that the system takes back when the process ends."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from pathlib import Path

from kerasviz.errors import KerasvizWarning, OutputError

LOCK = ".lock"
HELD = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}


class FolderLock:
    """The lock of a folder, held from construction until `release` or the end of the process.

    On POSIX a record lock: child processes do not inherit it, so none of them can outlive the
    process with it. Where the file system has no locks, a warning says so.

    Args:
        folder: An existing folder.

    Raises:
        OutputError: Another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(self._file)
        except OSError as error:
            if error.errno not in HELD:
                _warn(folder, error)
                return
            holder = _holder(self._file)
            os.close(self._file)
            raise OutputError(
                "`folder` must not be written by anyone else. "
                f"Received: {str(folder)!r}, which {holder} is writing. "
                "Wait for it, stop it, or choose another folder."
            ) from error
        _sign(self._file)

    def release(self) -> None:
        """Let others have the folder."""
        os.close(self._file)


def _holder(file: int) -> str:
    try:
        number = os.pread(file, 32, 1) if hasattr(os, "pread") else b""
    except OSError:
        number = b""
    return f"process {number.decode()}" if number.isdigit() else "another process"


def _sign(file: int) -> None:
    """Leave the process's number behind the locked byte; a full disk is no reason to stop."""
    try:
        os.ftruncate(file, 0)
        os.lseek(file, 1, os.SEEK_SET)
        os.write(file, str(os.getpid()).encode())
    except OSError:
        return


def _warn(folder: Path, error: OSError) -> None:
    warnings.warn(
        f"The file system of {str(folder)!r} has no locks ({error.strerror or error}). "
        "Make sure that only one training writes there.",
        KerasvizWarning,
        stacklevel=2,
    )


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, 0, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
