"""One class, or one class for each image."""

from __future__ import annotations

import pytest

from kerasviz.cli.targets import parse_targets
from kerasviz.errors import TargetError

LABELS = ("tabby, tabby cat", "tiger cat", "moth, white")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("2", [2, 2]),
        ("tiger cat", [1, 1]),
        ("tabby cat", [0, 0]),
        ("Moth, White", [2, 2]),
        ("1, tabby", [1, 0]),
        ("0,2", [0, 2]),
    ],
)
def test_two_images(text, expected):
    assert parse_targets(text, LABELS, 2) == expected


@pytest.mark.parametrize(
    ("text", "labels", "words"),
    [
        ("dog", LABELS, "'dog'"),
        ("tigercat", LABELS, "Closest: 'tiger cat'"),
        ("dog", None, "Pass --labels FILE"),
        ("0,1,2", LABELS, "each of the 2 images"),
        ("", LABELS, "nothing"),
        ("0,", None, "''"),
    ],
)
def test_refused(text, labels, words):
    with pytest.raises(TargetError) as caught:
        parse_targets(text, labels, 2)
    assert words in str(caught.value)
