"""Steps are said on stderr; TensorFlow's log is held back only while all goes well."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import _stderr_held_back


def test_plain_lines_outside_of_terminals(capsys):
    with Steps() as steps, steps.step("Reading [b]images[/b]", total=2) as advance:
        advance()
        advance()
    assert capsys.readouterr().err == "Reading [b]images[/b] …\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_moving_line_in_a_terminal():
    script = (
        "from kerasviz.cli.progress import Steps\n"
        "with Steps() as steps, steps.step('Reading', total=3) as advance:\n"
        "    for _ in range(3): advance()\n"
    )
    ours, theirs = os.openpty()
    environment = os.environ | {"TERM": "xterm-256color"}
    subprocess.run([sys.executable, "-c", script], stderr=theirs, check=True, env=environment)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    os.close(theirs)
    assert "Reading" in shown
    assert "3/3" in shown


def write_to_the_descriptor() -> None:
    os.write(2, b"I0000 a line of a log\n")


def test_the_log_is_dropped(capfd):
    with _stderr_held_back():
        write_to_the_descriptor()
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"


def test_the_log_is_handed_on_when_the_import_fails(capfd):
    def fail() -> None:
        with _stderr_held_back():
            write_to_the_descriptor()
            raise ImportError("no TensorFlow")

    with pytest.raises(ImportError):
        fail()
    assert capfd.readouterr().err == "I0000 a line of a log\n"
