"""Reading a page back: its elements, texts and pictures."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

from PIL import Image

VOID = {"meta", "img", "br", "link", "input"}
PREFIX = "data:image/png;base64,"


class Page(HTMLParser):
    """All elements and texts of a page; remembers elements that are not closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open[-1] != "style":
            self.texts.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def pictures(self, kind: str = "") -> list[tuple[Image.Image, dict[str, str]]]:
        """Decoded images whose class contains `kind`, with their attributes."""
        found = [item for item in self.all("img") if kind in item.get("class", "")]
        return [(decoded(item["src"]), item) for item in found]


def decoded(uri: str) -> Image.Image:
    assert uri.startswith(PREFIX)
    image = Image.open(io.BytesIO(base64.b64decode(uri[len(PREFIX) :], validate=True)))
    image.load()
    assert image.format == "PNG"
    return image
