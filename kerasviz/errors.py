"""What can go wrong, as types: every error kerasviz raises on purpose is a `KerasvizError`.

Each also derives from the built-in error a caller would expect: `except ValueError` keeps working.
"""

from __future__ import annotations


class KerasvizError(Exception):
    """Base of every error that kerasviz raises on purpose.

    A `tf.function` raises an error on with its own type only if it is constructed as `Exception`.
    """

    __init__ = Exception.__init__


class AddressError(KerasvizError, ValueError):
    """A layer address, layer object or index that does not name a call site of the model."""


class TargetError(KerasvizError, ValueError):
    """A target (class, label, score function, output) that the model's outputs cannot answer."""


class InputError(KerasvizError, ValueError):
    """Inputs of the wrong structure, shape or dtype, empty inputs, or inputs that hold NaN."""


class MethodError(KerasvizError, ValueError):
    """A method that makes no sense for this model; the message says which one does."""


class RewriteError(KerasvizError, ValueError):
    """A rule that could not be applied everywhere it must be (promise: right or refused)."""


class ModelFileError(KerasvizError, OSError):
    """A model file that is missing, truncated, not a model, or would run code when loaded."""


class ImageFileError(KerasvizError, OSError):
    """An image file that is missing or cannot be decoded."""


class OutputError(KerasvizError, OSError):
    """A folder or file that cannot be written."""


class MissingExtraError(KerasvizError, ImportError):
    """An optional package is not installed; the message holds the exact `pip install` line."""


class KerasvizWarning(UserWarning):
    """An answer was computed but should be read with care; the message names the cause."""
