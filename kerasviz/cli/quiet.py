"""Silences what TensorFlow and Keras print by themselves; on the command line only."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_keras(debug: bool = False) -> None:
    """Import Keras and TensorFlow without their log lines.

    Some of those are written before TensorFlow reads its log level, so the file descriptor of
    stderr is held back during the import, and handed on if the import fails. Nothing is held back
    with `debug`, or when the user has set `TF_CPP_MIN_LOG_LEVEL`.

    Args:
        debug: Keep the log.
    """
    if "tensorflow" in sys.modules:
        return
    if debug or _LEVEL in os.environ:
        _import()
        return
    os.environ[_LEVEL] = "3"
    with _stderr_held_back():
        _import()
    logging.getLogger("absl").setLevel(logging.ERROR)


@contextlib.contextmanager
def no_foreign_warnings(debug: bool = False) -> Iterator[None]:
    """Within this context, warnings are not shown; what kerasviz finds is in its results.

    Args:
        debug: Show them.
    """
    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")
        yield


def _import() -> None:
    import keras  # noqa: F401
    import tensorflow  # noqa: F401


@contextlib.contextmanager
def _stderr_held_back() -> Iterator[None]:
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
