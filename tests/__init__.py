"""The tests of kerasviz."""
