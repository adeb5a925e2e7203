"""The folder is known to be writable before it is needed, and holds no surprises."""

from __future__ import annotations

import json

import pytest

from kerasviz.cli.outputs import OutputFolder
from kerasviz.errors import OutputError


def test_makes_the_folder_and_leaves_nothing_in_it(tmp_path):
    OutputFolder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_file_is_in_the_way(tmp_path):
    (tmp_path / "taken").touch()
    for path in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(OutputError, match="--output DIR"):
            OutputFolder(path)


def test_names_are_safe_and_differ(tmp_path):
    folder = OutputFolder(tmp_path)
    stems = ["cat", "Cat", "cat", "../../etc/passwd", "käse 2", "", "...", "x" * 500]
    names = [folder.file(stem, ".png").name for stem in stems]
    assert names[:3] == ["cat.png", "Cat-2.png", "cat-3.png"]
    assert names[3:5] == ["etc-passwd.png", "k-se-2.png"]
    assert names[5:7] == ["image.png", "image-2.png"]
    assert len(names[7]) < 80
    assert len({name.lower() for name in names}) == len(names)


def test_json(tmp_path):
    folder = OutputFolder(tmp_path)
    folder.write_json(folder.file("summary", ".json"), {"name": "Käse"})
    text = (tmp_path / "summary.json").read_text(encoding="utf-8")
    assert "Käse" in text
    assert json.loads(text) == {"name": "Käse"}
