"""The templates of pages; what goes into them is escaped."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template


def source(name: str) -> str:
    """The text of a template."""
    return files("kerasviz.report").joinpath(name).read_text(encoding="utf-8")


@cache
def template(name: str) -> Template:
    """A template by the name of its file."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(source),
    )
    return environment.get_template(name)
