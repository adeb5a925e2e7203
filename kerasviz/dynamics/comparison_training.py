"""Training a model with an order of samples and random numbers that one seed decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe.inputs import check_model
from kerasviz.probe.seeding import SeededInitializer, derived, seed_random_layers

ORDER = 2


class ShuffledBatches(keras.utils.PyDataset):
    """Arrays in batches, in an order that seed and epoch decide.

    Args:
        x: Array, or a structure of arrays with samples first.
        y: Targets, likewise.
        batch_size: Samples a batch; the last may hold fewer.
        seed: Whole number from 0 on.
    """

    def __init__(self, x: Any, y: Any, batch_size: int, seed: int) -> None:
        super().__init__()
        self._arrays = (x, y)
        self._size = batch_size
        self._count = number_of(x)
        self._generator = np.random.default_rng((seed, ORDER))
        self._order = self._generator.permutation(self._count)

    def __len__(self) -> int:
        return -(-self._count // self._size)

    def __getitem__(self, index: int) -> Any:
        return taken(self._arrays, self._order[index * self._size : (index + 1) * self._size])

    def on_epoch_end(self) -> None:
        self._order = self._generator.permutation(self._count)


def number_of(x: Any) -> int:
    """How many samples a structure of arrays holds."""
    return len(keras.tree.flatten(x)[0])


def taken(x: Any, places: Any) -> Any:
    """These samples of a structure of arrays."""
    return keras.tree.map_structure(lambda array: array[places], x)


def built(
    build: Callable[[Any], keras.Model],
    initializer: Any,
    seed: int,
    optimizer: Any,
    loss: Any,
    sample: Any,
) -> keras.Model:
    """A new model, built and compiled.

    Args:
        build: Makes it of an initializer.
        initializer: Which.
        seed: Decides all that is random in it.
        optimizer: For a model that is not compiled; copied. None: Adam(1e-4).
        loss: Likewise.
        sample: One sample, to build a model that does not know its shapes.

    Raises:
        InputError: `build` returns no Keras model, or a compiled one where an optimizer or a loss
            is given, or none that is compiled without them.
    """
    model = build(SeededInitializer(initializer, derived(seed)))
    if isinstance(model, keras.Model) and not model.built:
        model(sample)
    check_model(model)
    given = optimizer is not None or loss is not None
    if model.compiled and given:
        raise InputError(
            "`optimizer` and `loss` are for models that `build` does not compile. Received: a "
            "compiled model. Leave them out, or don't compile."
        )
    if not model.compiled and loss is None:
        raise InputError(
            "`build` must return a compiled model, or `loss` be given. Received: neither. "
            "Compile the model in `build`."
        )
    if not model.compiled:
        model.compile(copied(optimizer), loss)
    seed_random_layers(model, seed)
    return model


def copied(optimizer: Any) -> Any:
    """An optimizer with these settings that has not seen a step."""
    if optimizer is None:
        return keras.optimizers.Adam(1e-4)
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return type(optimizer).from_config(optimizer.get_config())
    return keras.optimizers.get(optimizer)


def trained(
    model: keras.Model,
    data: tuple[Any, Any],
    epochs: int,
    batch_size: int,
    seed: int,
    progress: Callable[[int], object],
) -> dict[str, list[float]]:
    """Train, and return what `fit` measured in each epoch."""
    batches = ShuffledBatches(*data, batch_size, seed)
    told = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: progress(epoch + 1))
    fitted = model.fit(batches, epochs=epochs, shuffle=False, verbose=0, callbacks=[told])
    return {str(name): [float(x) for x in values] for name, values in fitted.history.items()}
