"""The names of the 1000 ImageNet classes."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=1)
def imagenet_labels() -> tuple[str, ...]:
    """Return the names of the 1000 classes of ILSVRC2012, in the order of the network's outputs.

    Each name lists the synonyms of one WordNet 3.0 noun, the common one first, separated by a comma
    and a space. Two classes share the name `"crane"`: the bird (134) and the machine (517).

    Returns:
        1000 names; the index of a name is its class index.

    Example:
        >>> from kerasviz import samples
        >>> samples.imagenet_labels()[281]
        'tabby, tabby cat'

    Reference:
        Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015.
    """
    text = files("kerasviz.samples").joinpath("imagenet_labels.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def usual_labels(classes: int | None) -> tuple[str, ...] | None:
    """ImageNet's names for an output of 1000 classes, None for any other."""
    return imagenet_labels() if classes == 1000 else None
