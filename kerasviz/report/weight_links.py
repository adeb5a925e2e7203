"""How layers talk, as parts of a page: links between two layers, the circuit of a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.report.section import Section

if TYPE_CHECKING:
    import pandas as pd

    from kerasviz.weights.channel_circuit import Circuit
    from kerasviz.weights.links import WeightConnections

CONNECTIONS_READ = (
    "A map says where around its own position a channel reads another one: red where that excites "
    "it, blue where it inhibits. Links are ranked by the norm of their map, which depends on how "
    "large the source's activations are: a channel that is rarely active may have large weights."
)
CIRCUIT_READ = (
    "A link is the path of largest weight, not of largest effect: how much goes through it on an "
    "image depends on the activations there. Links into a channel that are not drawn may together "
    "outweigh those that are."
)


def connections_section(found: WeightConnections, title: str) -> Section:
    """The strongest links between two layers.

    Args:
        found: What `kv.weights.connections` returns.
        title: Heading of the section.
    """
    return Section(
        title,
        "\n\n".join(filter(None, [CONNECTIONS_READ, found.diagnosis])),
        figures={title: found.plot()},
        tables={f"{title}: links": found.table},
        provenance=found.provenance,
    )


def circuit_section(found: Circuit, title: str) -> Section:
    """The circuit of a channel.

    Args:
        found: What `kv.weights.circuit` returns.
        title: Heading of the section.
    """
    more = ""
    if found.left_out:
        more = f"Layers that feed it too, not looked at: {', '.join(found.left_out)}."
    return Section(
        title,
        "\n\n".join(filter(None, [CIRCUIT_READ, more, found.diagnosis])),
        figures={title: found.plot()},
        tables={f"{title}: links": named_links(found)},
        provenance=found.provenance,
    )


def named_links(found: Circuit) -> pd.DataFrame:
    """The links of a circuit with the names of their channels in place of numbers of rows."""
    table = found.links.copy()
    for end in ("source", "target"):
        table[end] = [found.names[node] for node in found.links[end]]
    return table.rename_axis("link")
