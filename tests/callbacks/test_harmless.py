"""Watched and unwatched trainings end with the same bits."""

from __future__ import annotations

import random
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerasviz as kv

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.normal(size=(18, 8, 8, 3)).astype("float32")
LABELS = np.arange(18) % 3
PROBE = (IMAGES[:10], LABELS[:10])


def stack() -> list[layers.Layer]:
    return [
        layers.RandomFlip(name="flip"),
        layers.RandomContrast(0.3, name="contrast"),
        layers.Conv2D(4, 3, kernel_regularizer="l2", name="conv"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(name="relu"),
        layers.Dropout(0.3, name="drop"),
        layers.GlobalAveragePooling2D(name="pool"),
        layers.Dense(3, activation="softmax", dtype="float32", name="classes"),
    ]


def functional() -> keras.Model:
    inputs = x = keras.Input((8, 8, 3))
    for layer in stack():
        x = layer(x)
    return keras.Model(inputs, x)


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.all = stack()

    def call(self, x, training=False):
        for layer in self.all:
            takes = isinstance(layer, (layers.Dropout, layers.BatchNormalization))
            is_random = layer.name in ("flip", "contrast")
            x = layer(x, training=training) if takes or is_random else layer(x)
        return x


TRACED: list[int] = []


class OwnStep(Subclassed):
    def train_step(self, data):
        TRACED.append(1)
        x, y = data
        with tf.GradientTape() as tape:
            predicted = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=predicted)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


def nested() -> keras.Model:
    trunk = keras.Sequential([keras.Input((8, 8, 3)), *stack()[:5]], name="trunk")
    inputs = keras.Input((8, 8, 3))
    x = trunk(inputs)
    for layer in stack()[5:]:
        x = layer(x)
    return keras.Model(inputs, x)


def compiled(model: keras.Model, **options) -> keras.Model:
    loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile("adam", loss, **{"metrics": ["accuracy"], **options})
    return model


def half() -> keras.Model:
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        return compiled(functional())
    finally:
        keras.mixed_precision.set_global_policy(before)


def mirrored() -> keras.Model:
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        return compiled(functional())


BUILDS = {
    "functional": lambda: compiled(functional()),
    "own-step": lambda: compiled(OwnStep(), metrics=None),
    "nested-executions": lambda: compiled(nested(), steps_per_execution=4),
    "half": half,
    "mirrored": mirrored,
}


def watchers(folder, **options) -> list[keras.callbacks.Callback]:
    options = {"strict": True, **options}
    return [
        kv.callbacks.TrainingWatcher(
            folder / "a", PROBE, batch_size=5, layers=options.pop("layers", [-1]), **options
        ),
        kv.callbacks.GradientWatcher(folder / "b", PROBE, training=False, every=2, **options),
        kv.callbacks.DistributionWatcher(folder / "b", **options),
    ]


def drawing_watchers(folder) -> list[keras.callbacks.Callback]:
    """Those that explain and draw: they run gradients through the model that is trained."""

    def features(model):
        return kv.ActivationMaximization(model, target=1)

    return [
        kv.callbacks.ExplanationWatcher(folder, kv.GradCAM, IMAGES[:2], target=1, strict=True),
        kv.callbacks.FeatureWatcher(folder, features, steps=2, strict=True),
        kv.callbacks.ChannelGradientWatcher(folder, (IMAGES[:4], LABELS[:4]), strict=True),
        kv.callbacks.ReceptiveFieldWatcher(folder, ["conv"], samples=3, strict=True),
    ]


def trained(kind: str, callbacks, epochs: int = 2, model=None, **options):
    keras.utils.set_random_seed(3)
    model = BUILDS[kind]() if model is None else model
    with warnings.catch_warnings():
        warnings.simplefilter("error", kv.errors.KerasvizWarning)
        history = model.fit(
            IMAGES,
            LABELS,
            batch_size=4,
            epochs=epochs,
            verbose=0,
            callbacks=callbacks,
            validation_data=PROBE,
            **options,
        )
    return model, history.history


def state(model: keras.Model) -> list[np.ndarray]:
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(v)) for v in variables]


@pytest.mark.parametrize("kind", BUILDS)
def test_the_same_bits(kind, tmp_path) -> None:
    TRACED.clear()
    (plain, logs), draws = trained(kind, []), (random.random(), np.random.rand())  # noqa: NPY002
    plain_traces, drawn = len(TRACED), []
    TRACED.clear()
    if kind in ("functional", "own-step"):
        drawn = drawing_watchers(tmp_path / "drawn")
    watched, watched_logs = trained(kind, [*watchers(tmp_path), *drawn])
    assert len(TRACED) == plain_traces
    assert (plain_traces > 0) == (kind == "own-step")
    assert (random.random(), np.random.rand()) == draws  # noqa: NPY002
    assert watched_logs == logs
    for one, other in zip(state(plain), state(watched), strict=True):
        np.testing.assert_array_equal(one, other)
    if drawn:
        kinds = kv.dynamics.Run(tmp_path / "drawn").kinds
        assert {"explanations", "pictures", "channel-gradients", "receptive-fields"} <= set(kinds)
    run = kv.dynamics.Run(tmp_path / "a")
    steps = 2 * len(range(0, 18, 4))
    assert run.epochs == [0, 1]
    assert [record.step for record in run.records()][-1] == steps
    assert np.isfinite(run.scalars["gradient_norm"]).all()
    assert {"activations", "gradients", "updates", "weights"} <= {
        name.split("/")[0] for name in run.scalars
    }
    np.testing.assert_allclose(run.scalars["loss"], logs["loss"], rtol=1e-6)


def test_resumed_training_goes_on(tmp_path) -> None:
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "m.keras")
    trained("functional", [*watchers(tmp_path), checkpoint])
    run = kv.dynamics.Run(tmp_path / "a")
    first = run.scalars
    model = keras.models.load_model(tmp_path / "m.keras")
    trained("functional", watchers(tmp_path), epochs=4, model=model, initial_epoch=2)
    assert run.epochs == [0, 1, 2, 3]
    assert [record.step for record in run.records()] == [5, 10, 15, 20]
    np.testing.assert_array_equal(run.scalars.loc[:1, first.columns], first)
    drift = run.scalars["weights/conv/kernel/drift"]
    assert (drift > 0).all()
    assert drift[3] > drift[0]
    stepped = kv.dynamics.Run(tmp_path / "b")
    assert stepped.steps == [0, *range(2, 21, 2)]


def test_backup_and_restore_in_the_same_run(tmp_path) -> None:
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise RuntimeError("the machine went away")

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    def watcher():
        return kv.callbacks.TrainingWatcher(tmp_path / "run", PROBE, layers=[-1], strict=True)

    with pytest.raises(RuntimeError, match="went away"):
        trained("functional", [watcher(), backup(), Interrupt()], epochs=3)
    trained("functional", [watcher(), backup()], epochs=3)
    run = kv.dynamics.Run(tmp_path / "run")
    assert run.epochs == [0, 1, 2]
    assert [record.step for record in run.records()] == [5, 10, 15]
