"""What initializers do to weights and features, before and after training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.dynamics import comparison_training as training
from kerasviz.dynamics.comparison_result import Comparison, Measured
from kerasviz.dynamics.distribution_reader import DistributionReader, WeightReader
from kerasviz.dynamics.distribution_result import Distributions
from kerasviz.dynamics.usual_initializers import standard_initializers
from kerasviz.errors import InputError
from kerasviz.probe import addresses
from kerasviz.probe.held_weights import held_weights
from kerasviz.probe.provenance import provenance
from kerasviz.probe.seeding import checked
from kerasviz.probe.settings import whole

INPUTS = ("train", "validation", "noise")
CHOICE, NOISE = 3, 4
ALL = "all"


def compare_initializers(
    build: Callable[[Any], keras.Model],
    data: Any,
    initializers: Mapping[str, Any] | None = None,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    epochs: int = 10,
    batch_size: int = 64,
    optimizer: Any = None,
    loss: Any = None,
    layers: Any = None,
    weights: Sequence[str] | None = None,
    num_samples: int = 512,
    progress: Callable[[str, int, int], object] | None = None,
) -> Comparison:
    """Train the same model from several initializers, and compare weights and features.

    For each initializer and seed a model is built, its weights and features are measured, it is
    trained, and measured again. The seed decides the initial values, the order of the samples in
    each epoch, and dropout, noise and augmentation; for one seed these are the same draws for all
    initializers, so that they can be compared in pairs. No global generator is set, and no
    result depends on one, but for weights that `build` draws without the initializer it is given.

    Args:
        build: Called with an initializer, returns a new Keras model, compiled or not.
        data: `((x_train, y_train), (x_validation, y_validation))`, arrays, or structures of arrays
            such as a model with several inputs takes.
        initializers: Name → initializer, its name in Keras, or a function of shape and dtype (which
            is not seeded). None: Kaiming normal and uniform, Xavier normal and uniform with gain
            √2, orthogonal with gain √2, ones, zeros.
        seeds: Whole numbers from 0 on, all different. Intervals need two or more.
        epochs: Of training.
        batch_size: Samples a step.
        optimizer: For a model that `build` does not compile; copied for each run. None: Adam with
            learning rate 1e-4.
        loss: For a model that `build` does not compile.
        layers: Where features are measured: addresses, in order of depth, or a dict from the name
            of a group to them. The change of variance over depth is fitted in each group. None: all
            call sites whose output is one tensor of numbers, as one group.
        weights: Addresses such as "conv_1/kernel". None: all weights with two or more axes.
        num_samples: How many samples of each kind of input features are measured on: training
            samples, validation samples, and uniform noise between the least and the greatest value
            of the training inputs. They are the same for all runs, chosen by the first seed.
        progress: Called after each epoch with the initializer's name, the seed, and how many
            epochs are done.

    Returns:
        A `Comparison`.

    Raises:
        InputError: Settings out of range, data that does not fit, a model without loss.
        AddressError: Layers or weights that the model does not have.

    Example:

    ```python
    def build(initializer):
        dense = keras.layers.Dense(8, "relu", kernel_initializer=initializer, name="dense")
        last = keras.layers.Dense(3, kernel_initializer=initializer, name="classes")
        return keras.Sequential([keras.Input((4,)), dense, last])

    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(64, 4)), generator.integers(0, 3, 64)
    found = kv.dynamics.compare_initializers(
        build,
        ((x, y), (x[:16], y[:16])),
        {"He": "he_normal", "ones": "ones"},
        epochs=2,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    print(found.findings())
    ```
    """
    named = _named(initializers)
    seeds = _seeds(seeds)
    epochs, batch_size = whole(epochs, "epochs"), whole(batch_size, "batch_size")
    train, validation = _parts(data)
    inputs = _inputs(train[0], validation[0], whole(num_samples, "num_samples"), seeds[0])
    runs = _Runs(layers, weights, inputs, batch_size)
    for name, initializer in named.items():
        for seed in seeds:
            sample = training.taken(train[0], slice(0, 1))
            model = training.built(build, initializer, seed, optimizer, loss, sample)
            runs.start(model, name, seed)

            def told(epoch: int, name: str = name, seed: int = seed) -> object:
                return progress(name, seed, epoch) if progress else None

            history = training.trained(model, train, epochs, batch_size, seed, told)
            runs.end(history, model.evaluate(*validation, verbose=0, return_dict=True))
    facts = {"epochs": epochs, "batch_size": batch_size, "samples": number_by_kind(inputs)}
    return runs.result(tuple(named), seeds, provenance(model) | facts)


def number_by_kind(inputs: Mapping[str, Any]) -> dict[str, int]:
    """How many samples there are of each kind."""
    return {name: training.number_of(x) for name, x in inputs.items()}


class _Runs:
    """Measures models, one after the other."""

    def __init__(self, layers: Any, weights: Any, inputs: Mapping[str, Any], size: int) -> None:
        self._layers, self._wanted, self._inputs, self._size = layers, weights, inputs, size
        self._groups: dict[str, list[str]] = {}
        self._weights: list[tuple[dict[str, Any], Distributions]] = []
        self._features: list[tuple[dict[str, Any], Distributions]] = []
        self._training: list[dict[str, Any]] = []

    def start(self, model: keras.Model, name: str, seed: int) -> None:
        """Look at a new model."""
        self._run = {"initializer": name, "seed": seed}
        self._groups = _groups(model, self._layers)
        flat = [*dict.fromkeys(one for group in self._groups.values() for one in group)]
        self._reader = DistributionReader(model, flat or None)
        self._weight_reader = WeightReader(model)
        self._kernels = _kernels(model, self._wanted)
        self._measure(trained=False)

    def end(self, history: Mapping[str, Sequence[float]], scores: Mapping[str, float]) -> None:
        """Look at it after its training."""
        epochs = len(next(iter(history.values())))
        for epoch in range(epochs):
            measured = {name: values[epoch] for name, values in history.items()}
            self._training.append({**self._run, "epoch": epoch + 1, **measured})
        self._training[-1] |= {f"val_{name}": float(value) for name, value in scores.items()}
        self._measure(trained=True)

    def _measure(self, trained: bool) -> None:
        run = self._run | {"trained": trained}
        found = self._weight_reader.read()
        self._weights.append((run, _only(found, self._kernels)))
        for kind, x in self._inputs.items():
            read = self._reader.read(x, self._size, verbose=0)
            self._features.append((run | {"inputs": kind}, read))

    def result(
        self, names: tuple[str, ...], seeds: tuple[int, ...], facts: dict[str, Any]
    ) -> Comparison:
        import pandas as pd

        features = Measured.of(self._features)
        groups = self._groups or {ALL: [*dict.fromkeys(features.table["layer"])]}
        return Comparison(
            weights=Measured.of(self._weights),
            features=features,
            training=pd.DataFrame(self._training),
            initializers=names,
            seeds=seeds,
            groups={name: tuple(group) for name, group in groups.items()},
            provenance=facts,
        )


def _groups(model: keras.Model, layers: Any) -> dict[str, list[str]]:
    """Addresses by group; empty for all layers, which only running the model tells."""
    if layers is None:
        return {}
    given = layers if isinstance(layers, Mapping) else {ALL: layers}
    found = {}
    for name, group in given.items():
        group = [group] if isinstance(group, (str, int, keras.Operation)) else [*group]
        found[str(name)] = [addresses.to_address(model, layer) for layer in group]
    if not all(found.values()) or not found:
        raise InputError(
            "`layers` must name at least one layer, in each group if there are groups. "
            f"Received: {layers!r}. See `kv.layers(model)`."
        )
    return found


def _kernels(model: keras.Model, wanted: Sequence[str] | None) -> list[str]:
    held = held_weights(model)
    if wanted is None:
        found = [one.addresses[0] for one in held if len(one.variable.shape) > 1]
        if not found:
            raise InputError(
                "`build` must return a model with weights of two or more axes, or `weights` name "
                f"others. Received: '{model.name}', which has none. See "
                "`kv.dynamics.weight_distributions(model)`."
            )
        return found
    known = [one.addresses[0] for one in held]
    for name in wanted:
        if name not in known:
            raise addresses.not_found(name, known)
    return [*wanted]


def _only(found: Distributions, names: Sequence[str]) -> Distributions:
    places = [found.addresses.index(name) for name in names]
    table = found.table.iloc[places]
    return Distributions(table, found.edges[places], found.counts[places], found.provenance)


def _named(initializers: Mapping[str, Any] | None) -> dict[str, Any]:
    if initializers is None:
        return standard_initializers()
    if not isinstance(initializers, Mapping) or not initializers:
        raise InputError(
            "`initializers` must be a dict from names to initializers, with one at least. "
            f'Received: {initializers!r}. Pass such as {{"He": "he_normal"}}.'
        )
    return {str(name): checked(one) for name, one in initializers.items()}


def _seeds(seeds: Any) -> tuple[int, ...]:
    given = list(seeds) if isinstance(seeds, Iterable) and not isinstance(seeds, str) else [seeds]
    found = tuple(whole(seed, "seeds", least=0) for seed in given)
    if not found or len(set(found)) < len(found):
        raise InputError(
            "`seeds` must be different whole numbers, one at least. "
            f"Received: {seeds!r}. Pass such as range(3)."
        )
    return found


def _parts(data: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    is_pair = isinstance(data, (tuple, list)) and len(data) == 2
    if not is_pair or not all(isinstance(part, (tuple, list)) and len(part) == 2 for part in data):
        raise InputError(
            "`data` must be ((x_train, y_train), (x_validation, y_validation)). "
            f"Received: {type(data).__name__}. Pass arrays in this order."
        )
    parts = [keras.tree.map_structure(np.asarray, tuple(part)) for part in data]
    for part in parts:
        sizes = {array.shape[:1] for array in keras.tree.flatten(part)}
        if len(sizes) != 1 or sizes & {(), (0,)}:
            raise InputError(
                "`data` must hold as many targets as inputs, one sample at least. Received: "
                f"{sorted(sizes)} of them. Pass arrays with samples first."
            )
        for array in keras.tree.flatten(part):
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise InputError(
                    "`data` must hold finite numbers. Received: NaN or infinity. Drop those "
                    "samples, or fill them in."
                )
    return parts[0], parts[1]


def _inputs(train: Any, validation: Any, count: int, seed: int) -> dict[str, Any]:
    """Samples of each kind to measure features on."""
    generator = np.random.default_rng((seed, CHOICE))
    found = {}
    for name, x in (("train", train), ("validation", validation)):
        places = generator.permutation(training.number_of(x))[:count]
        found[name] = training.taken(x, np.sort(places))
    noise = np.random.default_rng((seed, NOISE))
    found["noise"] = keras.tree.map_structure(lambda x: _noise(noise, x, count), train)
    return found


def _noise(generator: np.random.Generator, like: np.ndarray, count: int) -> np.ndarray:
    """Uniform between the least and the greatest value of an array; whole numbers stay whole."""
    shape, low, high = (count, *like.shape[1:]), like.min(), like.max()
    if np.issubdtype(like.dtype, np.floating):
        return generator.uniform(low, high, shape).astype(like.dtype)
    return generator.integers(int(low), int(high), shape, endpoint=True).astype(like.dtype)
