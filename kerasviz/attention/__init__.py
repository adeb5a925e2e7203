"""What attention weights say, what gates do on data, and how much both can change a network.

Layers of RGB-D fusion and local excitation, statistics of attention weights of any model, what
its gates and heads do on data, and a simulator of the impact that such weights can have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.lazy import lazily

if TYPE_CHECKING:
    from kerasviz.attention.gate_statistics import GateStatistics
    from kerasviz.attention.gating import gate_values, gates, statistics
    from kerasviz.attention.heads import head_statistics, scores
    from kerasviz.attention.layers.encoder_fusion import EncoderFusion
    from kerasviz.attention.layers.relatives import (
        AttentionComplementaryFusion,
        SeparationAggregationGate,
        SqueezeExcitationFusion,
    )
    from kerasviz.attention.layers.resplacement_block import ResplacementBlock
    from kerasviz.attention.layers.squeeze_excitation import SqueezeExcitation
    from kerasviz.attention.modalities import ModalityAttribution, modality_attribution
    from kerasviz.attention.network import rgbd_grasp_network
    from kerasviz.attention.simulation import (
        Simulation,
        simulate_cnn,
        simulate_dense,
        simulate_group,
        sweep,
    )
    from kerasviz.attention.summary import compare, summarize, weights

_HOMES = {
    "AttentionComplementaryFusion": "layers.relatives",
    "EncoderFusion": "layers.encoder_fusion",
    "GateStatistics": "gate_statistics",
    "ModalityAttribution": "modalities",
    "ResplacementBlock": "layers.resplacement_block",
    "SeparationAggregationGate": "layers.relatives",
    "Simulation": "simulation",
    "SqueezeExcitation": "layers.squeeze_excitation",
    "SqueezeExcitationFusion": "layers.relatives",
    "compare": "summary",
    "gate_values": "gating",
    "gates": "gating",
    "head_statistics": "heads",
    "modality_attribution": "modalities",
    "rgbd_grasp_network": "network",
    "scores": "heads",
    "simulate_cnn": "simulation",
    "simulate_dense": "simulation",
    "simulate_group": "simulation",
    "statistics": "gating",
    "summarize": "summary",
    "sweep": "simulation",
    "weights": "summary",
}

__all__ = [
    "AttentionComplementaryFusion",
    "EncoderFusion",
    "GateStatistics",
    "ModalityAttribution",
    "ResplacementBlock",
    "SeparationAggregationGate",
    "Simulation",
    "SqueezeExcitation",
    "SqueezeExcitationFusion",
    "compare",
    "gate_values",
    "gates",
    "head_statistics",
    "modality_attribution",
    "rgbd_grasp_network",
    "scores",
    "simulate_cnn",
    "simulate_dense",
    "simulate_group",
    "statistics",
    "summarize",
    "sweep",
    "weights",
]

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
