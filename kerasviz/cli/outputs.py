"""The folder that a command fills."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from kerasviz.errors import OutputError

_TRIAL_BYTES = 1 << 16
_LONGEST_STEM = 60


class OutputFolder:
    """A folder that is known to be writable before any long computation starts.

    Args:
        path: The folder; made when it does not exist.

    Raises:
        OutputError: It cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._taken: set[str] = set()
        if path.exists() and not path.is_dir():
            raise OutputError(_cannot(path, "a file of that name is in the way"))
        try:
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path) as trial:
                trial.write(bytes(_TRIAL_BYTES))
        except OSError as error:
            raise OutputError(_cannot(path, error.strerror or str(error))) from error

    def file(self, stem: str, ending: str) -> Path:
        """Choose a path in the folder that is safe on any system and was not given out before.

        Args:
            stem: What the file is about; anything but letters, digits, `.`, `_` and `-` becomes
                `-`.
            ending: Such as `".png"`.

        Returns:
            A path that differs from all others given out by more than upper and lower case.
        """
        safe = re.sub(r"[^\w.-]+", "-", stem, flags=re.ASCII).strip(".-")[:_LONGEST_STEM] or "image"
        name, number = f"{safe}{ending}", 1
        while name.lower() in self._taken:
            number += 1
            name = f"{safe}-{number}{ending}"
        self._taken.add(name.lower())
        return self.path / name

    def write(self, path: Path, content: bytes) -> None:
        """Write a file of the folder, whole or not at all.

        Args:
            path: What `file` returned.
            content: The bytes.

        Raises:
            OutputError: It cannot be written, or the disk is full.
        """
        from kerasviz.files import write_atomically

        write_atomically(path, lambda file: file.write(content))

    def write_json(self, path: Path, content: dict[str, Any]) -> None:
        """Write a JSON file of the folder.

        Args:
            path: What `file` returned.
            content: What to write; numbers that JSON lacks must be gone from it.

        Raises:
            OutputError: It cannot be written, or the disk is full.
        """
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        self.write(path, f"{text}\n".encode())


def _cannot(path: Path, reason: str) -> str:
    return (
        f"Expected a folder to write to. Cannot write to {path}: {reason}. "
        "Name another with --output DIR."
    )
