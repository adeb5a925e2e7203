from __future__ import annotations

import keras
import pytest

from kerasviz import samples


@pytest.fixture(scope="session")
def lite0() -> keras.Model:
    """EfficientNet-Lite0 with its ImageNet weights, shared: tests must leave it as it is."""
    return samples.efficientnet_lite0()
