"""Keras callbacks: when, during `fit`, something is looked at."""

from kerasviz.callbacks.picture_snapshots import PictureSnapshots

__all__ = ["PictureSnapshots"]
