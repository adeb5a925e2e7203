"""Names from files cannot drive the terminal."""

from __future__ import annotations

from kerasviz.cli.printing import printable


def test_control_characters_are_gone():
    assert printable("\x1b[31mred\x07\r\nblue\u202e x  y") == "[31mred blue x y"
    assert printable("Käse × 2 …") == "Käse × 2 …"
