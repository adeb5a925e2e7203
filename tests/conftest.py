"""Shared by all tests: quiet TensorFlow, each model kind built once."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import functools

import matplotlib as mpl
import pytest

from tests.models import EXTRA_SPELLINGS, KINDS, SPELLINGS, Case

mpl.use("agg")


@functools.lru_cache(maxsize=None)
def build(name: str) -> Case:
    """The case of that name; built once, since nothing may alter it."""
    return {**KINDS, **SPELLINGS, **EXTRA_SPELLINGS}[name]()


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """The case whose name is given with `parametrize("case", [...], indirect=True)`."""
    return build(request.param)
