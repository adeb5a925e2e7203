"""Class names from files."""

from __future__ import annotations

import keras
import pytest

from kerasviz import samples
from kerasviz.cli.labels import labels_for, read_labels
from kerasviz.errors import InputError


@pytest.mark.parametrize(
    "text",
    [
        "cat\ndog\nmoth, white\n",
        "\ufeffcat\r\n dog \r\nmoth, white\r\n\r\n",
        '["cat", "dog", "moth, white"]',
        '{"0": "cat", "2": "moth, white", "1": "dog"}',
        '{"dog": 1, "cat": 0, "moth, white": 2}',
        '{"0": ["n1", "cat"], "1": ["n2", "dog"], "2": ["n3", "moth, white"]}',
    ],
)
def test_forms(text, tmp_path):
    (tmp_path / "labels").write_text(text, encoding="utf-8", newline="")
    assert read_labels(tmp_path / "labels") == ("cat", "dog", "moth, white")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "which is empty"),
        (b" \n ", "which is empty"),
        (b"{}", "which is empty"),
        (b'["cat"', "broken JSON"),
        (b'{"0": "cat", "2": "dog"}', "leave some out"),
        (b'{"cat": "dog"}', "not numbers"),
        (b"[1, 2]", "holds 1 as a label"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_broken(content, words, tmp_path):
    (tmp_path / "labels").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_labels(tmp_path / "labels")


def test_missing(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_labels(tmp_path / "labels")


def classifier(units):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)])


def test_their_number_is_checked():
    assert labels_for(classifier(2), ("a", "b")) == ("a", "b")
    assert labels_for(classifier(1), ("no", "yes")) == ("no", "yes")
    with pytest.raises(InputError, match=r"Expected 3 labels.*Received: 2"):
        labels_for(classifier(3), ("a", "b"))


def test_without_labels():
    assert labels_for(classifier(7), None) is None
    assert labels_for(classifier(1000), None) == samples.imagenet_labels()
