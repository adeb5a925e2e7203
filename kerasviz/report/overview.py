"""What a page says once for all its explanations: summary, methods, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerasviz.plots.reading import size_text
from kerasviz.report.notes import Note, note_for


@dataclass(frozen=True)
class Method:
    """A row of the methods table."""

    name: str
    settings: str
    note: Note | None


DRAWN = "Activation maximization"


def summary_of(
    explanations: Sequence[Any], samples: int, visualizations: Sequence[Any] = ()
) -> list[tuple[str, str]]:
    """Pairs of a name and a text: model, input, number of samples and pictures, methods."""
    everything = [*explanations, *visualizations]
    if not everything:
        return []
    facts = [
        ("Model", _distinct(item.provenance.get("model", "") for item in everything)),
        ("Input", _distinct(_input_text(item.inputs) for item in explanations)),
        ("Samples", str(samples) if explanations else ""),
        ("Pictures", _count_text(visualizations)),
        ("Methods", _distinct(map(_method, everything))),
    ]
    return [(name, text) for name, text in facts if text]


def methods_of(explanations: Sequence[Any], visualizations: Sequence[Any] = ()) -> list[Method]:
    """One row for each method and its settings; those of pictures stand beside the pictures."""
    rows = [Method(item.method, _settings(item), note_for(item.method)) for item in explanations]
    rows += [Method(DRAWN, "", note_for(DRAWN))] if visualizations else []
    return list(dict.fromkeys(rows))


def provenance_of(results: Sequence[Any]) -> list[tuple[str, str]]:
    """Pairs of a key and its value; values that differ are listed with their methods."""
    keys = dict.fromkeys(key for item in results for key in item.provenance)
    return [(str(key), _values(results, key)) for key in keys]


def _method(item: Any) -> str:
    return str(getattr(item, "method", getattr(item, "title", DRAWN)))


def _count_text(visualizations: Sequence[Any]) -> str:
    count = sum(map(len, visualizations))
    sizes = _distinct(size_text(item.display.shape[1:-1]) for item in visualizations)
    return f"{count} of {sizes}" if count and sizes else str(count or "")


def _distinct(texts: Any) -> str:
    return ", ".join(dict.fromkeys(str(text) for text in texts if text))


def _input_text(inputs: Any) -> str:
    if not isinstance(inputs, Mapping):
        return size_text(inputs.shape[1:])
    return "; ".join(f"{name} {size_text(array.shape[1:])}" for name, array in inputs.items())


def _settings(explanation: Any) -> str:
    return ", ".join(f"{name} = {value}" for name, value in explanation.parameters.items())


def _values(results: Sequence[Any], key: str) -> str:
    methods: dict[str, list[str]] = {}
    for item in results:
        if key in item.provenance:
            methods.setdefault(str(item.provenance[key]), []).append(_method(item))
    if len(methods) == 1:
        return next(iter(methods))
    return "; ".join(
        f"{value} ({', '.join(dict.fromkeys(names))})" for value, names in methods.items()
    )
