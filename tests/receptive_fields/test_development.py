"""Fields over a training: what the watcher keeps, and how it is read back."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import kerasviz as kv
from kerasviz.errors import InputError, KerasvizWarning
from kerasviz.receptive_fields import Development
from kerasviz.receptive_fields.kept import developed_layers
from tests.receptive_fields.developed import fields, write_run

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.normal(size=(12, 12, 12, 2)).astype("float32")
LABELS = np.arange(12) % 3
EPOCHS = 3
CALLS: list[int] = []


class Counted(layers.ReLU):
    def call(self, inputs):
        CALLS.append(1)
        return super().call(inputs)


def retina() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 2)),
            layers.Conv2D(3, 3, name="first"),
            Counted(name="relu"),
            layers.Conv2D(4, 3, name="last"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, "softmax"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    return model


class Witness(keras.callbacks.Callback):
    """The weights, and the calls of the model's layers so far, at each time."""

    def __init__(self) -> None:
        super().__init__()
        self.weights, self.calls = [], []

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 0:
            self.weights.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.get_weights())
        self.calls.append(len(CALLS))


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    folder, model, witness = tmp_path_factory.mktemp("retina"), retina(), Witness()
    watcher = kv.callbacks.ReceptiveFieldWatcher(
        folder, ["last", model.layers[0]], samples=5, seed=7, units=3, strict=True
    )
    settings = {"epochs": EPOCHS, "batch_size": 4, "verbose": 0}
    model.fit(IMAGES, LABELS, callbacks=[watcher, witness], **settings)
    return kv.dynamics.Run(folder), model, witness


def test_each_snapshot_is_what_the_method_says_of_these_weights(watched) -> None:
    run, model, witness = watched
    assert developed_layers(run) == ["last", "first"]
    for layer in ("last", "first"):
        development = Development(run, layer)
        assert (development.unit, development.numbers) == ("epochs", (0, 1, 2, 3))
        method = kv.receptive_fields.GradientReceptiveField(model, layer)
        for weights, kept in zip(witness.weights, development, strict=True):
            model.set_weights(weights)
            wanted = method(samples=5, seed=7, units=[0, 1, 2])
            np.testing.assert_array_equal(kept.maps, wanted.maps)
            assert kept.peaks.tolist() == wanted.peaks.tolist()
            assert kept.parameters == wanted.parameters
            assert (kept.start, kept.diagnosis) == (wanted.start, wanted.diagnosis)
    assert not np.array_equal(development[0].maps, development[1].maps)
    assert kept.provenance["model"] == model.name


def test_compiled_once(watched) -> None:
    calls = watched[2].calls
    assert calls[0] > 0
    assert set(calls) == {calls[0]}


def test_numbers_by_hand(watched) -> None:
    run = watched[0]
    development = Development(run, "last")
    maps = np.stack([one.maps for one in development]).astype("float64").reshape(4, 3, -1)
    table = development.table()
    assert table.index.names == ["epochs", "unit"]
    assert list(table.index) == [(epoch, unit) for epoch in range(4) for unit in range(3)]
    size = np.linalg.norm(maps, axis=-1)
    last = (maps * maps[-1]).sum(-1) / size / size[-1]
    before = (maps[1:] * maps[:-1]).sum(-1) / size[1:] / size[:-1]
    np.testing.assert_allclose(table["with_last"].to_numpy().reshape(4, 3), last, rtol=1e-6)
    found = table["with_previous"].to_numpy().reshape(4, 3)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1:], before, rtol=1e-6)
    peaks = np.abs(maps).max(-1)
    np.testing.assert_allclose(table["peak"].to_numpy().reshape(4, 3), peaks, rtol=1e-6)
    shares = peaks / peaks.max(-1, keepdims=True)
    np.testing.assert_allclose(table["strength"].to_numpy().reshape(4, 3), shares, rtol=1e-6)


def test_steps_and_going_on(tmp_path) -> None:
    model = retina()
    options = {"batch_size": 4, "verbose": 0}
    watcher = kv.callbacks.ReceptiveFieldWatcher(
        tmp_path / "steps", ["first"], every=2, strict=True
    )
    model.fit(IMAGES, LABELS, epochs=2, callbacks=[watcher], **options)
    development = Development(kv.dynamics.Run(tmp_path / "steps"), "first")
    assert (development.unit, development.numbers) == ("steps", (0, 2, 4, 6))
    watcher = kv.callbacks.ReceptiveFieldWatcher(tmp_path / "on", ["first"], strict=True)
    for first in (0, 1):
        model.fit(
            IMAGES, LABELS, epochs=first + 1, initial_epoch=first, callbacks=[watcher], **options
        )
    assert Development(kv.dynamics.Run(tmp_path / "on"), "first").numbers == (0, 1, 2)


def test_a_killed_or_damaged_run_opens(tmp_path) -> None:
    maps = GENERATOR.normal(size=(4, 2, 6, 6, 1))
    run = write_run(tmp_path, [fields(one, (3, 3)) for one in maps])
    assert Development(run, "conv").numbers == (0, 1, 2, 3)
    journal = tmp_path / "scalars.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    development = Development(run, "conv")
    assert development.numbers == (0, 1, 2)
    np.testing.assert_array_equal(development[-1].maps, maps[2].astype("float32"))
    [file] = (tmp_path / "receptive-fields").glob("epoch-000000*")
    file.write_bytes(file.read_bytes()[:-100])
    assert Development(kv.dynamics.Run(tmp_path), "conv").numbers == (0, 2)


def test_fields_that_grow_are_seen_in_one_box(tmp_path) -> None:
    small, large = np.ones((1, 5, 5, 1)), np.zeros((1, 7, 8, 1))
    large[0, 1:6, 2:7] = 1.0
    large[0, 0, 0] = 5.0
    run = write_run(
        tmp_path, [fields(small, (4, 6)), fields(large, (3, 4)), fields(0 * small, (4, 6))]
    )
    development = Development(run, "conv")
    first = development[0]
    assert (first.start, first.size) == ((3, 4), (7, 8))
    wanted = np.where(large == 5.0, 0.0, large)
    np.testing.assert_array_equal(first.maps, wanted)
    table = development.table()
    np.testing.assert_allclose(table["with_previous"].loc[1], 25 / np.sqrt(25 * 50), rtol=1e-6)
    assert table["with_last"].isna().all()
    words = [text.get_text() for text in development.plot().texts]
    assert {"epoch 0", "epoch 1", "epoch 2"} <= set(words)


def test_fits_where_they_were_asked_for(tmp_path) -> None:
    y, x = np.mgrid[-6:7, -6:7]
    stripes = np.exp(-(x**2 + y**2) / 16) * np.cos(1.2 * x)
    noise = GENERATOR.normal(size=(13, 13))
    snapshots = [np.stack([noise, 0 * noise]), np.stack([stripes, noise]), np.stack([stripes] * 2)]
    run = write_run(tmp_path, [fields(one[..., None], (8, 8)) for one in snapshots])
    table = Development(run, "conv").table(fits=2)
    assert table["type"].loc[2].tolist() == ["gabor", "gabor"]
    assert table["type"].loc[0].tolist() == ["other", "dead"]
    assert table["error"].loc[1].isna().all()
    assert (table["error"].loc[2] < 0.01).all()
    assert table["error"].loc[(0, 0)] > 0.5


def test_a_figure_of_chosen_times_and_units(watched) -> None:
    development = Development(watched[0], "last")
    figure = development.plot(numbers=[0, 3], units=[2, 1], title="On $x$")
    words = {text.get_text() for text in figure.texts}
    assert {"On $x$", "unit 1", "unit 2", "epoch 3\ncos 1.00"} <= words
    assert len(figure.axes) == 2 * 2 * 2
    shown = figure.axes[0].get_images()[0].get_array()[..., 0]
    np.testing.assert_allclose(shown, development[0].display[2].mean(-1), atol=1e-6)


def test_refusals(watched, tmp_path) -> None:
    run = watched[0]
    with pytest.raises(InputError, match=r"\['last', 'first'\].*Received: 'relu'"):
        Development(run, "relu")
    development = Development(run, "last")
    with pytest.raises(InputError, match=r"`numbers`.*Received: 9"):
        development.plot(numbers=[9])
    with pytest.raises(InputError, match=r"`units`.*Received: 3"):
        development.plot(units=[3])
    with pytest.raises(InputError, match="at least 5 pixels"):
        Development(run, "first").table(fits=1)
    two = [fields(np.ones((n, 3, 3, 1)), (0, 0)) for n in (1, 2)]
    with pytest.raises(InputError, match="same units"):
        Development(write_run(tmp_path, two), "conv")
    for wrong in ({"layers": "last"}, {"layers": []}, {"layers": [2.5]}):
        with pytest.raises(InputError, match="`layers`"):
            kv.callbacks.ReceptiveFieldWatcher(tmp_path, **wrong)
    for name, value in (("units", 0), ("units", [-1]), ("units", "all"), ("samples", 0)):
        with pytest.raises(InputError, match=f"`{name}`"):
            kv.callbacks.ReceptiveFieldWatcher(tmp_path, ["last"], **{name: value})


def test_a_layer_that_fails_stands_down_alone(tmp_path) -> None:
    watcher = kv.callbacks.ReceptiveFieldWatcher(tmp_path, ["nowhere", "first"])
    with pytest.warns(KerasvizWarning, match="receptive-fields/nowhere.*stands down"):
        retina().fit(IMAGES, LABELS, verbose=0, callbacks=[watcher])
    assert developed_layers(kv.dynamics.Run(tmp_path)) == ["first"]


def test_fields_of_signals_are_not_described(tmp_path) -> None:
    run = write_run(tmp_path, [fields(np.ones((2, 9, 7)), (3,))])
    with pytest.raises(InputError, match="1 axes of positions"):
        Development(run, "conv").table(fits=1)
