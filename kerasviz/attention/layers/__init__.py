"""Layers of RGB-D fusion and local excitation.

Importing this package registers all of them with Keras, so that `keras.saving.load_model` knows
the files that name them.
"""

from __future__ import annotations

from kerasviz.attention.layers.encoder_fusion import EncoderFusion
from kerasviz.attention.layers.modalities import DepthScaling, SelectChannels
from kerasviz.attention.layers.relatives import (
    AttentionComplementaryFusion,
    SeparationAggregationGate,
    SqueezeExcitationFusion,
)
from kerasviz.attention.layers.resplacement_block import ResplacementBlock
from kerasviz.attention.layers.squeeze_excitation import SqueezeExcitation

__all__ = [
    "AttentionComplementaryFusion",
    "DepthScaling",
    "EncoderFusion",
    "ResplacementBlock",
    "SelectChannels",
    "SeparationAggregationGate",
    "SqueezeExcitation",
    "SqueezeExcitationFusion",
]
