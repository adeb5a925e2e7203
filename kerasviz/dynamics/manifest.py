"""The manifest of a run: what the folder is, which versions wrote it, how the writers were set."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kerasviz
from kerasviz.dynamics.durable import sync_folder, write_whole
from kerasviz.errors import InputError

MANIFEST = "manifest.json"
FORMAT = "kerasviz run"
VERSION = 1
PACKAGES = ("keras", "tensorflow")


def now() -> str:
    """The time, as ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run's folder.

    Raises:
        InputError: The folder is none of a run, its manifest is damaged, or a newer kerasviz
            wrote it.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        is_run = manifest["format"] == FORMAT
        version = int(manifest["version"])
    except OSError as error:
        raise _no_run(folder, f"whose {MANIFEST} can't be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _no_run(folder, f"whose {MANIFEST} is damaged or of another kind") from error
    if not is_run:
        raise _no_run(folder, f"whose {MANIFEST} is of another kind")
    if version > VERSION:
        raise InputError(
            f"`folder` must hold a run of schema {VERSION} or older. Received: {str(folder)!r}, "
            f"written by a newer kerasviz with schema {version}. Upgrade kerasviz to read it."
        )
    return manifest


def write_manifest(
    folder: Path, settings: Mapping[str, Any] | None = None, part: str | None = None
) -> None:
    """Write the manifest of a new run, or add to that of one that is there.

    Args:
        folder: The run's folder.
        settings: What a writer says: `"model"`, the model's name, versions; anything else is kept
            under its part.
        part: Name of the writer, which opens a session. None: only see that there is a manifest.

    Raises:
        InputError: The manifest that is there can't be read.
        OSError: It can't be written.
    """
    is_new = not (folder / MANIFEST).exists()
    known = _new() if is_new else read_manifest(folder)
    if part is not None:
        said = {name: value for name, value in (settings or {}).items() if name != "created"}
        versions = {name: said.pop(name, _version(name)) for name in ("kerasviz", *PACKAGES)}
        known |= versions | {"model": said.pop("model", known["model"])}
        known["parts"] = known["parts"] | {part: said}
        known["sessions"] = [*known["sessions"], {"part": part, "opened": now(), **versions}]
    if is_new or part is not None:
        content = json.dumps(known, indent=2).encode("ascii") + b"\n"
        write_whole(folder / MANIFEST, lambda file: file.write(content))
        sync_folder(folder)


def plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as JSON gives them back.

    Raises:
        InputError: JSON can't hold them.
    """
    try:
        return json.loads(json.dumps(settings, allow_nan=False, default=_to_json))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            "`manifest` must hold only what JSON can hold: texts, finite numbers, lists, dicts, "
            f"None. Received: {settings!r} ({error}). Describe such a value by a text."
        ) from error


def _new() -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "created": now(),
        "model": None,
        "parts": {},
        "sessions": [],
    }


def _version(package: str) -> str | None:
    if package == "kerasviz":
        return kerasviz.__version__
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _to_json(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def _no_run(folder: Path, what: str) -> InputError:
    return InputError(
        f"`folder` must be a folder that a run was written to. Received: {str(folder)!r}, {what}. "
        "Check the path; a run's folder holds manifest.json."
    )
