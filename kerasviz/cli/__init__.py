"""The command line: `kerasviz demo`, `kerasviz explain`, `kerasviz layers`."""

from __future__ import annotations

from kerasviz.cli.application import app, main

__all__ = ["app", "main"]
