from __future__ import annotations

from collections import Counter

import pytest

from kerasviz import samples


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (0, "tench, Tinca tinca"),
        (1, "goldfish, Carassius auratus"),
        (134, "crane"),
        (151, "Chihuahua"),
        (207, "golden retriever"),
        (243, "bull mastiff"),
        (250, "Siberian husky"),
        (281, "tabby, tabby cat"),
        (282, "tiger cat"),
        (285, "Egyptian cat"),
        (340, "zebra"),
        (388, "giant panda, panda, panda bear, coon bear, Ailuropoda melanoleuca"),
        (404, "airliner"),
        (517, "crane"),
        (665, "moped"),
        (670, "motor scooter, scooter"),
        (817, "sports car, sport car"),
        (963, "pizza, pizza pie"),
        (967, "espresso"),
        (998, "ear, spike, capitulum"),
        (999, "toilet tissue, toilet paper, bathroom tissue"),
    ],
)
def test_known_indices(index: int, name: str) -> None:
    assert samples.imagenet_labels()[index] == name


def test_there_are_a_thousand_names_and_only_crane_twice() -> None:
    labels = samples.imagenet_labels()
    assert len(labels) == 1000
    assert {name for name, count in Counter(labels).items() if count > 1} == {"crane"}


def test_names_are_clean() -> None:
    synonyms = [name for label in samples.imagenet_labels() for name in label.split(", ")]
    assert all(name and name == name.strip() and name.isascii() for name in synonyms)
    assert not any("," in name or "_" in name or "  " in name for name in synonyms)
