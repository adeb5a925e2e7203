"""Many results on one offline HTML page."""

from kerasviz.report.developing import development
from kerasviz.report.notes import NOTES, Note
from kerasviz.report.page import render, write
from kerasviz.report.section import Section

__all__ = ["NOTES", "Note", "Section", "development", "render", "write"]
