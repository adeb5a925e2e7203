"""What watchers write, when, and what they do when something fails."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from keras import layers

import kerasviz as kv

GENERATOR = np.random.default_rng(1)
X = GENERATOR.normal(size=(24, 5)).astype("float32")
Y = GENERATOR.normal(size=(24, 2)).astype("float32")


def linear(**options) -> keras.Model:
    model = keras.Sequential([keras.Input((5,)), layers.Dense(2, name="dense")])
    start = np.random.default_rng(2)
    model.set_weights([start.normal(size=w.shape) for w in model.get_weights()])
    model.compile(keras.optimizers.SGD(0.1), "mse", **options)
    return model


def fit(model, *watchers, **options):
    settings = {"batch_size": 4, "shuffle": False, "verbose": 0, "callbacks": [*watchers]}
    return model.fit(X, Y, **{**settings, **options})


def steps_by_hand(model: keras.Model, epochs: int, size: int = 4) -> list[np.ndarray]:
    """The kernel before each step of SGD, and after the last."""
    kernel, bias = (w.astype("float64") for w in model.get_weights())
    kernels = [kernel]
    for _ in range(epochs):
        for start in range(0, 24, size):
            x, y = X[start : start + size], Y[start : start + size]
            error = 2 * (x @ kernel + bias - y) / y.size
            kernel, bias = kernel - 0.1 * x.T @ error, bias - 0.1 * error.sum(0)
            kernels.append(kernel)
    return kernels


@pytest.mark.parametrize("every", ["epoch", 3, 5])
def test_updates_are_those_of_the_real_step(every, tmp_path) -> None:
    model = linear()
    kernels = steps_by_hand(model, 2)
    fit(model, kv.callbacks.GradientWatcher(tmp_path, every=every, strict=True), epochs=2)
    run = kv.dynamics.Run(tmp_path)
    scalars = run.scalars if every == "epoch" else run.step_scalars.iloc[1:]
    steps = [6, 12] if every == "epoch" else [*range(every, 13, every)]
    assert len(scalars) == len(steps)
    for step, (_, row) in zip(steps, scalars.iterrows(), strict=True):
        update, before = kernels[step] - kernels[step - 1], kernels[step - 1] - kernels[step - 2]
        size = np.linalg.norm(update)
        cosine = np.sum(update * before) / size / np.linalg.norm(before)
        found = [row[f"updates/dense/kernel/{name}"] for name in ("norm", "ratio", "cosine")]
        ratio = size / np.linalg.norm(kernels[step - 1])
        np.testing.assert_allclose(found, [size, ratio, cosine], rtol=2e-4)
        known = np.linalg.norm(kernels[step - 1])
        np.testing.assert_allclose(row["weights/dense/kernel/norm"], known, rtol=1e-5)


def test_updates_of_executions_and_of_data_of_unknown_size(tmp_path) -> None:
    model = linear(steps_per_execution=3)
    kernels = steps_by_hand(model, 1)
    fit(model, kv.callbacks.GradientWatcher(tmp_path / "a", strict=True), epochs=1)
    row = kv.dynamics.Run(tmp_path / "a").scalars.iloc[0]
    update, before = kernels[6] - kernels[3], kernels[3] - kernels[0]
    sizes = np.linalg.norm(update), np.linalg.norm(before)
    np.testing.assert_allclose(row["updates/dense/kernel/norm"], sizes[0], rtol=1e-4)
    cosine = np.sum(update * before) / np.prod(sizes)
    np.testing.assert_allclose(row["updates/dense/kernel/cosine"], cosine, rtol=1e-4)

    def batches():
        yield from ((X[i : i + 4], Y[i : i + 4]) for i in range(0, 24, 4))

    model = linear()
    watcher = kv.callbacks.GradientWatcher(tmp_path / "b", strict=True)
    model.fit(batches(), verbose=0, callbacks=[watcher])
    row = kv.dynamics.Run(tmp_path / "b").scalars.iloc[0]
    size = np.linalg.norm(kernels[2] - kernels[1])
    np.testing.assert_allclose(row["updates/dense/kernel/norm"], size, rtol=1e-4)


def test_gradients_and_their_noise_by_hand(tmp_path) -> None:
    model = linear()
    probe = (X[:10], Y[:10])
    watcher = kv.callbacks.GradientWatcher(tmp_path, probe, batch_size=4, strict=True)
    fit(model, watcher)
    kernel, bias = (w.astype("float64") for w in model.get_weights())
    parts, losses = [], []
    for start, end in [(0, 3), (3, 6), (6, 10)]:
        x, y = X[start:end], Y[start:end]
        error = x @ kernel + bias - y
        losses.append(np.mean(error**2))
        parts.append(x.T @ error * 2 / y.size)
    sizes = np.array([3, 3, 4])
    mean = np.tensordot(sizes, parts, 1) / 10
    row = kv.dynamics.Run(tmp_path).scalars.iloc[0]
    np.testing.assert_allclose(row["probe_loss"], sizes @ losses / 10, rtol=1e-5)
    np.testing.assert_allclose(row["gradients/dense/kernel/norm"], np.linalg.norm(mean), rtol=1e-5)
    np.testing.assert_allclose(row["gradients/dense/kernel/mean"], mean.mean(), rtol=1e-4)
    np.testing.assert_allclose(row["gradients/dense/kernel/std"], mean.std(), rtol=1e-4)
    big, small = np.sum(mean**2), np.mean([np.sum(part**2) for part in parts])
    one = np.mean(1 / sizes)
    noise = (small - big) / (one - 0.1)
    signal = big - noise / 10
    wanted = noise / signal if signal > 0 else np.nan
    np.testing.assert_allclose(row["gradients/dense/kernel/noise_scale"], wanted, rtol=1e-3)
    edges, counts = kv.dynamics.Run(tmp_path).histograms(0)["gradients/dense/kernel"]
    assert counts.sum() == 10
    assert edges[0] <= mean.min()
    assert mean.max() <= edges[-1] * (1 + 1e-6)


def test_the_noise_scale_is_tr_sigma_over_g_squared() -> None:
    """On a problem whose gradients are known: samples g + noise of known variance."""
    generator = np.random.default_rng(0)
    x = np.ones((4000, 1), "float32")
    y = generator.normal(-1.0, 3.0, size=(4000, 1)).astype("float32")
    inputs = keras.Input((1,))
    layer = layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="dense")
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", "mse")
    found = kv.dynamics.GradientReader(model, batch_size=5).read(x, y)
    assert found.microbatches == 800
    np.testing.assert_allclose(found.noise_scale, 9.0, rtol=0.25)


def test_training_and_inference_of_the_probe() -> None:
    inputs = keras.Input((5,))
    outputs = layers.Dense(2)(layers.BatchNormalization()(layers.Dropout(0.5, seed=1)(inputs)))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    before = [np.array(v) for v in (keras.ops.convert_to_tensor(v) for v in model.variables)]
    norms = {}
    for training in (True, False):
        reader = kv.dynamics.GradientReader(model, training=training)
        found = [reader.read(X, Y).norm for _ in range(2)]
        assert found[0] == found[1]
        assert reader.num_traces == 1
        norms[training] = found[0]
    assert abs(norms[True] - norms[False]) > 1e-3
    for one, other in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(one, np.array(keras.ops.convert_to_tensor(other)))


def test_drift_from_the_start(tmp_path) -> None:
    model = linear()
    before = np.sort(model.layers[0].kernel.numpy(), axis=None)
    fit(model, kv.callbacks.DistributionWatcher(tmp_path, X, strict=True), epochs=2)
    run = kv.dynamics.Run(tmp_path)
    after = np.sort(model.layers[0].kernel.numpy(), axis=None)
    wanted = np.mean(np.abs(after - before))
    np.testing.assert_allclose(run.scalars["weights/dense/kernel/drift"][1], wanted, rtol=0.05)
    outputs = np.sort(model.predict(X, verbose=0), axis=None)
    np.testing.assert_allclose(run.table("activations").loc[(1, "dense"), "min"], outputs[0])
    assert run.step_scalars["weights/dense/kernel/drift"][0] == 0


def test_an_error_is_told_once_and_the_training_goes_on(tmp_path) -> None:
    probe = (X[:, :3], Y)
    watcher = kv.callbacks.TrainingWatcher(tmp_path, probe)
    with pytest.warns(kv.errors.KerasvizWarning, match="stands down") as told:
        history = fit(linear(), watcher, epochs=3)
    ours = [w for w in told if issubclass(w.category, kv.errors.KerasvizWarning)]
    assert len(history.history["loss"]) == 3
    assert len(ours) == 2
    assert {"'activations'", "'gradients'"} == {str(w.message).split()[1] for w in ours}
    run = kv.dynamics.Run(tmp_path)
    assert run.epochs == [0, 1, 2]
    assert "updates/dense/kernel/norm" in run.scalars
    with pytest.raises(kv.errors.InputError):
        fit(linear(), kv.callbacks.TrainingWatcher(tmp_path / "b", probe, strict=True))


@pytest.mark.parametrize("every", ["epoch", 4])
def test_a_folder_of_another_training_is_left_alone(every, tmp_path) -> None:
    def watcher(**options):
        return kv.callbacks.GradientWatcher(tmp_path, every=every, **options)

    fit(linear(), watcher(strict=True), epochs=3)
    first = (tmp_path / "scalars.jsonl").read_bytes()
    again = watcher()
    with pytest.warns(kv.errors.KerasvizWarning, match="overwrite=True"):
        fit(linear(), again, epochs=1)
    assert again.is_standing_down
    assert (tmp_path / "scalars.jsonl").read_bytes() == first
    fit(linear(), watcher(overwrite=True, strict=True), epochs=1)
    run = kv.dynamics.Run(tmp_path)
    assert (run.epochs, run.steps) == (([0], [0]) if every == "epoch" else ([], [0, 4]))


def test_a_failed_write_is_told_once_and_tried_again(tmp_path, monkeypatch) -> None:
    original = kv.dynamics.RunWriter.write_epoch

    def write(self, epoch, *args, **kwargs):
        if epoch < 2:
            raise kv.errors.OutputError("No space left on device.")
        original(self, epoch, *args, **kwargs)

    monkeypatch.setattr(kv.dynamics.RunWriter, "write_epoch", write)
    with pytest.warns(kv.errors.KerasvizWarning, match="No space left") as told:
        fit(linear(), kv.callbacks.GradientWatcher(tmp_path), epochs=3)
    assert len([w for w in told if issubclass(w.category, kv.errors.KerasvizWarning)]) == 1
    assert kv.dynamics.Run(tmp_path).epochs == [2]


def test_a_model_without_a_loss_of_its_own(tmp_path) -> None:
    class Own(keras.Sequential):
        def train_step(self, data):
            return {"loss": keras.ops.mean(self(data[0], training=True))}

    def model():
        made = Own([keras.Input((5,)), layers.Dense(2, name="dense")])
        made.compile("sgd")
        return made

    with pytest.warns(kv.errors.KerasvizWarning, match="Compile it with a loss, or pass"):
        fit(model(), kv.callbacks.GradientWatcher(tmp_path / "a", (X, Y)))
    watcher = kv.callbacks.GradientWatcher(
        tmp_path / "b", (X, Y), loss=keras.losses.mean_squared_error, strict=True
    )
    fit(model(), watcher)
    assert kv.dynamics.Run(tmp_path / "b").scalars["gradient_norm"][0] > 0


@pytest.mark.parametrize("every", [0, "batch", True, 1.5, None])
def test_settings_that_make_no_sense(every, tmp_path) -> None:
    with pytest.raises(kv.errors.InputError, match="every"):
        kv.callbacks.GradientWatcher(tmp_path, every=every)


@pytest.mark.parametrize("probe", [iter([X]), "x", 3.0, (), (X, Y, Y, Y)])
def test_probes_that_are_none(probe, tmp_path) -> None:
    with pytest.raises(kv.errors.InputError, match="probe"):
        kv.callbacks.TrainingWatcher(tmp_path, probe)


def convolutional() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    outputs = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy")
    images = np.random.default_rng(0).normal(size=(12, 8, 8, 3)).astype("float32")
    return model, images, np.arange(12) % 3


def test_maps_pictures_and_channels(tmp_path) -> None:
    model, images, labels = convolutional()
    visualizer = kv.ActivationMaximization(model, target=1)
    explained = kv.callbacks.ExplanationWatcher(
        tmp_path, kv.GradCAM, images[:3], target=1, strict=True
    )
    channels = kv.callbacks.ChannelGradientWatcher(tmp_path, (images, labels), strict=True)
    drawn = kv.callbacks.FeatureWatcher(tmp_path, visualizer, steps=2, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(
            images, labels, epochs=2, batch_size=4, verbose=0,
            callbacks=[explained, channels, drawn],
        )  # fmt: skip
        run = kv.dynamics.Run(tmp_path)
        maps = run.stack("explanations", "GradCAM")
        np.testing.assert_allclose(maps[-1], kv.GradCAM(model)(images[:3], target=1), atol=1e-6)
        table = kv.dynamics.channel_gradients(model, (images, labels), verbose=0)
        visualizer(steps=2, verbose=0)
    stable = kv.dynamics.stability(run, "GradCAM")
    assert stable["with_last"][1] == pytest.approx(1.0)
    assert run.scalars["explanations/GradCAM/stability"][1] == pytest.approx(
        stable["with_previous"][1]
    )
    known = run.arrays("channel-gradients", -1)["conv/emission"]
    np.testing.assert_allclose(known, table["emission"].dropna(), rtol=1e-5)
    pictures = run.stack("pictures", "features")
    np.testing.assert_array_equal(pictures[-1], visualizer.display())
