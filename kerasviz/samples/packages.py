"""Where an installed package keeps its data files, found without importing the package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from kerasviz.errors import MissingExtraError


def package_folder(module: str, distribution: str, extra: str = "kerasviz[demo]") -> Path:
    """Return the folder of an installed package, without running any of its code.

    Args:
        module: Name the package is imported by, for example `"skimage"`.
        distribution: Name the package is installed by, for example `"scikit-image"`.
        extra: What the user is told to install.

    Returns:
        The folder that holds the package's `__init__.py`.

    Raises:
        MissingExtraError: The package is not installed.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            f'The package {distribution} is not installed. Run: pip install "{extra}"'
        )
    return Path(spec.origin).parent
