"""`python -m kerasviz`: the command line."""

from __future__ import annotations

from kerasviz.cli import main

if __name__ == "__main__":
    main()
