"""Shared by all tests: quiet TensorFlow, each model kind built once."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import functools
from collections.abc import Iterator

import matplotlib as mpl
import pytest
import tensorflow as tf

from tests.models import EXTRA_SPELLINGS, KINDS, SPELLINGS, Case

mpl.use("agg")
_CPU = tf.config.list_physical_devices("CPU")[:1]
tf.config.set_logical_device_configuration(_CPU[0], [tf.config.LogicalDeviceConfiguration()] * 2)


LONGEST = ("test_examples.py", "test_docs.py", "test_commands.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no process is left alone with one at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@functools.cache
def build(name: str) -> Case:
    """The case of that name; built once, since nothing may alter it."""
    return {**KINDS, **SPELLINGS, **EXTRA_SPELLINGS}[name]()


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """The case whose name is given with `parametrize("case", [...], indirect=True)`."""
    return build(request.param)


@pytest.fixture(scope="module")
def unoptimized_graphs() -> Iterator[None]:
    """Graphs run as they were traced: for many small models that run a few times each."""
    options = tf.config.optimizer.get_experimental_options()
    before = options.get("disable_meta_optimizer", False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})
