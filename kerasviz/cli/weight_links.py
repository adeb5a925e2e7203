"""`kerasviz weights --connections` and `--circuit`: how layers talk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kerasviz.cli.progress import Steps
from kerasviz.errors import InputError, KerasvizError

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from kerasviz.report import Section


def connection_part(
    model: keras.Model, source: str, target: str, num_steps: int, steps: Steps
) -> tuple[Section, pd.DataFrame]:
    """A part of the page about two layers, and the table of their links.

    Args:
        model: What is described.
        source: Address of the layer that is read.
        target: Address of the layer that reads.
        num_steps: Gradient steps of a picture; 0 draws none.
        steps: Tells what is done.
    """
    from kerasviz import weights
    from kerasviz.report.weight_links import connections_section

    with steps.step(f"Looking for links from {source} to {target}"):
        found = weights.connections(model, source, target)
    found = _drawn(model, found, num_steps, steps)
    return connections_section(found, f"How {target} reads {source}"), found.table


def circuit_part(
    model: keras.Model, name: str, num_steps: int, steps: Steps
) -> tuple[Section, pd.DataFrame]:
    """A part of the page about a channel, and the table of its circuit's links.

    Args:
        model: What is described.
        name: "layer:channel".
        num_steps: Gradient steps of a picture; 0 draws none.
        steps: Tells what is done.
    """
    from kerasviz import weights
    from kerasviz.report.weight_links import circuit_section, named_links

    layer, channel = _parsed(name)
    with steps.step(f"Following {name} back"):
        found = weights.circuit(model, layer, channel)
    found = _drawn(model, found, num_steps, steps)
    return circuit_section(found, f"The circuit of {name}"), named_links(found)


def _drawn(model: keras.Model, found: Any, num_steps: int, steps: Steps) -> Any:
    """The same with pictures, where the model's input can be drawn."""
    if not num_steps:
        return found
    with steps.step("Drawing what excites each channel"):
        try:
            return found.visualize(model, steps=num_steps, verbose=0)
        except KerasvizError as error:
            steps.say(f"No pictures of the channels. {error}")
            return found


def _parsed(name: str) -> tuple[str, int]:
    from kerasviz.features.objectives.shorthand import layer_and_channel

    found = layer_and_channel(name)
    if found is None:
        raise InputError(
            "`--circuit` must name a channel as LAYER:CHANNEL. "
            f"Received: {name!r}. Write such as 'block_3/expand:7'."
        )
    return found
