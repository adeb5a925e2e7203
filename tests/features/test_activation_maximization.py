"""The loop against hand-written ones, and its promises: same seed, untouched model, any kind."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from tf_keras_vis.activation_maximization import regularizers as tf_keras_vis

import kerasviz as kv
from kerasviz.errors import AddressError, InputError, KerasvizError, MethodError, TargetError
from kerasviz.probe.backend.loop import Loop
from kerasviz.probe.backend.sampling import Draws
from tests.conftest import build
from tests.models import KINDS
from tests.reference import ascent
from tests.reference import objectives as reference
from tests.reference.warping import warped

images, objectives, transforms = kv.images, kv.objectives, kv.transforms
FIXED = transforms.Affine("fixed", lambda draws, sizes: tf.constant(MATRIX), 0.5)
MATRIX = np.array([[0.9, 0.2, 1.3], [-0.1, 1.1, -0.6], [0, 0, 1]], "float32")


def maximizer(model, target, **settings):
    """A visualizer without transforms and without redirected steps unless they are asked for."""
    settings = {"redirected_steps": 0, "transforms": (), **settings}
    return kv.ActivationMaximization(model, target, **settings)


def drawn(model, target, steps=4, **settings):
    return maximizer(model, target, **settings)(steps=steps, verbose=0)


def small(name="small", seed=0, size=(8, 6)):
    """A convolution without rectifier and a linear head: every gradient is alive."""
    model = keras.Sequential(
        [
            keras.Input((*size, 3)),
            keras.layers.Conv2D(4, 3, activation="tanh", name="conv"),
            keras.layers.GlobalAveragePooling2D(name="gap"),
            keras.layers.Dense(3, name="head"),
        ],
        name=name,
    )
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(size=w.shape) * 0.4 for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def model():
    """Built once: nothing may alter it."""
    return small()


def linear(weights):
    """Scores that are sums of weighted pixels."""
    model = keras.Sequential(
        [
            keras.Input(weights.shape[:-1]),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(weights.shape[-1], use_bias=False, name="head"),
        ],
        name="linear",
    )
    model.set_weights([weights.reshape(-1, weights.shape[-1])])
    return model


# ---------------------------------------------------------------- the loop, written out


def start_of(image, shape, seed=0):
    return image.initial_values(shape, np.random.default_rng([seed, 0]))


@functools.cache
def loop_over_pixels(sizes):
    """What the loop over pixels makes of black, and adds for each single pixel."""
    nothing = warped(np.zeros((*sizes, 1)), MATRIX, 0.5)[..., 0].ravel()
    ones = np.eye(np.prod(sizes)).reshape(-1, *sizes, 1)
    return nothing, [warped(one, MATRIX, 0.5)[..., 0].ravel() - nothing for one in ones]


def warped_by_loop(pictures):
    """`FIXED`, as a matrix product with what the loop over pixels does to single pixels."""
    nothing, columns = loop_over_pixels(tuple(pictures.shape[1:3]))
    product = tf.einsum(
        "pq,nqc->npc",
        tf.constant(np.array(columns).T, tf.float32),
        tf.reshape(pictures, (len(pictures), -1, 3)),
    )
    return tf.reshape(product + nothing[None, :, None].astype("float32"), pictures.shape)


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("kind", ["fourier", "pixels"])
def test_steps_are_those_of_a_hand_written_loop(model, kind, moved):
    image = images.Fourier() if kind == "fourier" else images.Pixels()

    def picture(weights):
        if kind == "fourier":
            return ascent.fourier(weights, 8, 6)
        return ascent.mixed(weights["pixels"])

    def value(pictures):
        shown = warped_by_loop(pictures) if moved else pictures
        conv = model.layers[0](shown * 4.0 - 2.0)
        score = tf.reduce_mean(conv[..., 1], (1, 2)) - 0.1 * tf.reduce_mean(
            tf.square(conv), (1, 2, 3)
        )
        return score - 0.3 * tf.reduce_mean(tf.abs(pictures - 0.5), (1, 2, 3))

    goal = objectives.channel("conv", 1) - 0.1 * objectives.layer("conv")
    visualizer = maximizer(
        model,
        goal,
        image=image,
        num_images=2,
        value_range=(-2, 2),
        transforms=[FIXED] if moved else (),
        regularizers=[0.3 * objectives.l1()],
        seed=4,
    )
    update = ascent.Adam(0.05)
    if kind == "fourier":
        update = ascent.plain(2.0)
        visualizer.compile(keras.optimizers.SGD(2.0))
    found = visualizer(steps=18, verbose=0)
    start = start_of(image, (2, 8, 6, 3), 4)
    weights, history = ascent.ascended(start, picture, value, update, 18)
    expected = picture({name: tf.constant(w) for name, w in weights.items()}).numpy() * 4 - 2
    np.testing.assert_allclose(visualizer.trajectory, history, atol=1e-4)
    assert np.abs(found - expected).max() < 0.03
    assert np.abs(found - expected).mean() < 1e-3
    assert np.abs(found).mean() > 0.2


def test_the_keras_vis_preset_is_its_formula(model):
    """keras-vis: logit − 10·‖x‖₆/n − 10·TV(x)/n, unit gradient, RMSprop."""

    def value(inputs):
        score = model(inputs)[:, 2]
        count = 8 * 6 * 3
        norm = tf.reduce_sum(tf.abs(inputs) ** 6, (1, 2, 3)) ** (1 / 6)
        rows, columns = inputs[:, 1:] - inputs[:, :-1], inputs[:, :, 1:] - inputs[:, :, :-1]
        variation = tf.reduce_sum(rows**2, (1, 2, 3)) + tf.reduce_sum(columns**2, (1, 2, 3))
        return score - 10 * norm / count - 10 * variation / count

    image = images.Pixels(bounded=False, decorrelate=False, standard_deviation=0.05)
    visualizer = maximizer(model, 2, preset="keras-vis", num_images=2, value_range=(-1, 1))
    found = visualizer(steps=12, verbose=0)
    weights, history = ascent.ascended(
        start_of(image, (2, 8, 6, 3)),
        lambda weights: (weights["pixels"] + 0.5) * 2 - 1,
        value,
        ascent.RMSprop(1 / 255, 0.95),
        12,
    )
    np.testing.assert_allclose(visualizer.trajectory, history, atol=1e-3)
    expected = np.clip(weights["pixels"] + 0.5, 0, 1) * 2 - 1
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_one_step_of_plain_descent_is_the_weights_of_a_linear_model():
    weights = np.random.default_rng(0).normal(size=(4, 5, 1, 2)).astype("float32")
    visualizer = maximizer(
        linear(weights),
        [0, 1],
        image=images.Pixels(bounded=False, standard_deviation=0.0),
        value_range=(-3, 5),
    )
    visualizer.compile(keras.optimizers.SGD(0.001))
    found = visualizer(steps=3, verbose=0)
    expected = 1 + 8 * 3 * 0.001 * 8 * np.moveaxis(weights, -1, 0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_pictures_without_limits_are_clipped_at_the_end():
    weights = np.random.default_rng(0).normal(size=(4, 5, 1, 1)).astype("float32")
    visualizer = maximizer(linear(weights), 0, image=images.Pixels(bounded=False))
    visualizer.compile(keras.optimizers.SGD(100.0))
    np.testing.assert_array_equal(visualizer(steps=2, verbose=0)[0], weights[..., 0] > 0)


def test_the_class_of_a_linear_model_saturates_toward_the_signs_of_its_weights():
    weights = np.random.default_rng(1).normal(size=(4, 5, 1, 2)).astype("float32")
    found = drawn(linear(weights), [0, 1], steps=200, image=images.Pixels(), value_range="-1..1")
    signs = np.sign(np.moveaxis(weights, -1, 0))
    np.testing.assert_array_equal(np.sign(found), signs)
    assert np.abs(found).min() > 0.9


@pytest.mark.parametrize("optimizer", [keras.optimizers.RMSprop(0.02), "adamw", "lion"])
def test_any_optimizer_makes_the_objective_rise(model, optimizer):
    visualizer = maximizer(model, 1)
    visualizer.compile(optimizer)
    visualizer(steps=24, verbose=0)
    assert visualizer.trajectory[-1] > visualizer.trajectory[0] + 0.001


def test_every_step_has_a_draw_of_its_own(model):
    visualizer = maximizer(model, 1, transforms=[transforms.jitter(6)], seed=5)
    visualizer.compile(keras.optimizers.SGD(0.0))
    picture = visualizer(steps=6, verbose=0)
    expected = []
    for step in range(6):
        shown = transforms.apply([transforms.jitter(6)], tf.constant(picture), Draws(5, step))
        expected.append(model(shown).numpy()[:, 1])
    np.testing.assert_allclose(visualizer.trajectory, expected, atol=1e-5)
    assert visualizer.trajectory.std() > 1e-5


# ---------------------------------------------------------------- the same again


def test_the_same_seed_gives_the_same_pictures(model):
    def pictures(seed):
        return maximizer(model, 1, transforms=None, seed=seed, num_images=2)(steps=5, verbose=0)

    visualizer = maximizer(model, 1, transforms=None, seed=3, num_images=2)
    first = visualizer(steps=5, verbose=0)
    assert np.array_equal(first, visualizer(steps=5, verbose=0))
    visualizer.fit(steps=7, verbose=0)
    assert np.array_equal(first, visualizer(steps=5, verbose=0))
    assert np.array_equal(first, pictures(3))
    assert np.abs(first - pictures(4)).mean() > 1e-3
    assert np.abs(first[0] - first[1]).mean() > 1e-3


def test_going_on_is_the_same_as_not_stopping(model):
    once = maximizer(model, 1, transforms=None)
    once(steps=16, verbose=0)
    twice = maximizer(model, 1, transforms=None)
    twice.fit(steps=8, verbose=0)
    twice.fit(steps=8, verbose=0)
    np.testing.assert_array_equal(once.trajectory, twice.trajectory)
    np.testing.assert_array_equal(once.pictures(), twice.pictures())
    assert once.trajectory.shape == (16, 1)


class Seen(keras.callbacks.Callback):
    """What callbacks are told."""

    def __init__(self):
        super().__init__()
        self.objectives, self.pictures = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.objectives.append(logs["objective"])
        self.pictures.append(self.model.pictures())


@pytest.mark.parametrize("per_execution", [1, 4, 64])
def test_steps_per_execution_changes_nothing_but_what_callbacks_see(model, per_execution):
    plain = maximizer(model, 1, transforms=None, num_images=2)
    expected = plain(steps=10, verbose=0)
    visualizer = maximizer(model, 1, transforms=None, num_images=2)
    visualizer.compile(keras.optimizers.Adam(0.05), steps_per_execution=per_execution)
    seen = Seen()
    found = visualizer(steps=10, callbacks=[seen], verbose=0)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(visualizer.trajectory, plain.trajectory)
    ends = sorted({min(10, n) for n in range(per_execution, 10 + per_execution, per_execution)})
    means = visualizer.trajectory.mean(1)
    np.testing.assert_allclose(seen.objectives, [means[end - 1] for end in ends], rtol=1e-6)
    np.testing.assert_array_equal(seen.pictures[-1], found)


class Interrupting(keras.callbacks.Callback):
    """A user who loses patience."""

    def on_train_batch_end(self, batch, logs=None):
        if batch >= 7:
            raise KeyboardInterrupt


def test_an_interrupted_run_keeps_its_pictures_and_goes_on(model):
    visualizer = maximizer(model, 1)
    visualizer.compile(keras.optimizers.Adam(0.05), steps_per_execution=4)
    with pytest.raises(KeyboardInterrupt):
        visualizer(steps=16, callbacks=[Interrupting()], verbose=0)
    whole = maximizer(model, 1)
    np.testing.assert_array_equal(visualizer.pictures(), whole(steps=8, verbose=0))
    visualizer.fit(steps=4, verbose=0)
    whole.fit(steps=4, verbose=0)
    np.testing.assert_array_equal(visualizer.pictures(), whole.pictures())


def test_it_starts_from_given_pictures(model):
    start = np.random.default_rng(0).uniform(-1.8, 1.8, (2, 8, 6, 3)).astype("float32")
    visualizer = maximizer(model, 1, num_images=2, value_range=(-2, 2))
    visualizer.reset(start)
    np.testing.assert_allclose(visualizer.pictures(), start, atol=1e-3)
    visualizer.reset(start[:1])
    np.testing.assert_allclose(visualizer.pictures(), start[[0, 0]], atol=1e-3)
    visualizer.reset()
    assert np.abs(visualizer.pictures()).mean() < 0.2
    for wrong in (start[:, :4], start[0], start[[0, 1, 0]], start * np.nan):
        with pytest.raises(InputError, match="`start` must be"):
            visualizer.reset(wrong)


# ---------------------------------------------------------------- the model


def state_of(model):
    """Everything that a model and its layers hold."""
    layers = [model, *model._flatten_layers(include_self=False)]
    return (
        [np.array(v) for layer in layers for v in layer.variables],
        [{k: id(v) for k, v in vars(layer).items() if k != "_lock"} for layer in layers],
        [list(layer.losses) for layer in layers],
    )


def assert_same(before, after):
    for one, other in zip(before[1], after[1], strict=True):
        assert one == other, {k for k in one | other if one.get(k) != other.get(k)}
    for one, other in zip(before[0], after[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert before[1:] == after[1:]


@pytest.mark.parametrize("case", ["custom_layer_without_get_config"], indirect=True)
def test_a_model_is_left_as_it_was(case):
    answer = case.model(case.inputs).numpy()
    before = state_of(case.model)
    drawn(case.model, "scaled/conv:1", transforms=None)
    assert_same(before, state_of(case.model))
    for wrong in ("scaled/conv:99", objectives.neuron("head", 0), lambda y: y[0, 0] * np.nan):
        with pytest.raises(KerasvizError):
            drawn(case.model, wrong)
        assert_same(before, state_of(case.model))
    np.testing.assert_array_equal(case.model(case.inputs).numpy(), answer)


def test_a_model_with_random_layers_and_losses_is_left_as_it_was():
    dropout = keras.layers.Dropout(0.5, seed=3)
    network = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Conv2D(3, 3, kernel_regularizer="l2", name="conv"),
            keras.layers.BatchNormalization(),
            dropout,
            keras.layers.Flatten(),
            keras.layers.Dense(2, activity_regularizer="l1"),
        ]
    )
    network.compile("adam", "mse")
    seed = np.array(dropout.seed_generator.state)
    weights = [np.array(w) for w in network.weights]
    losses = len(network.losses)
    drawn(network, "conv:1")
    np.testing.assert_array_equal(seed, np.array(dropout.seed_generator.state))
    for before, after in zip(weights, network.weights, strict=True):
        np.testing.assert_array_equal(before, np.array(after))
    assert len(network.losses) == losses


def test_training_between_two_calls_is_respected():
    network = small()
    visualizer = maximizer(network, 1)
    before = visualizer(steps=5, verbose=0)
    network.set_weights(small(seed=1).get_weights())
    after = visualizer(steps=5, verbose=0)
    assert np.abs(before - after).mean() > 0.001
    np.testing.assert_array_equal(after, drawn(network, 1, 5))


def test_a_model_is_not_one_of_the_visualizers_layers(model):
    visualizer = maximizer(model, 1)
    assert not {id(w) for w in model.weights} & {id(w) for w in visualizer.weights}


# ---------------------------------------------------------------- any model


def input_of(case):
    return keras.tree.flatten(case.inputs)


@pytest.mark.parametrize("case", list(KINDS), indirect=True)
def test_every_kind_of_model(case):
    image = images.Fourier(size=16) if case.name == "variable_size" else images.Fourier()
    settings = {"image": image, "num_images": 2}
    if case.name == "recurrent":
        settings["image"] = images.Fourier(size=(4, 12, 10))
    if case.name in ("uint8_input", "embedding"):
        with pytest.raises(InputError, match=r"can't be drawn by gradients. Pass `constants="):
            maximizer(case.model, 1)
        return
    goal = objectives.channel(case.layer, [1, 2]) + 0.1 * objectives.class_score(case.target)
    goal += 1e-3 * objectives.layer(case.layer)
    visualizer = maximizer(case.model, goal, **settings)
    before = visualizer.pictures()
    found = visualizer(steps=6, verbose=0)
    for one, other in zip(input_of(case), keras.tree.flatten(found), strict=True):
        assert other.shape[0] == 2
        assert len(other.shape) == len(one.shape)
        assert np.isfinite(other).all()
        assert other.min() >= 0
        assert other.max() <= 1
    rise = visualizer.trajectory[-1] - visualizer.trajectory[0]
    changed = [
        np.abs(one - other).max()
        for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(before), strict=True)
    ]
    assert min(changed) > 1e-3
    assert rise.mean() > 0, visualizer.trajectory


@pytest.mark.parametrize("case", ["channels_first", "multi_input_dict", "conv1d"], indirect=True)
def test_values_are_what_the_model_answers_to_the_pictures(case):
    visualizer = maximizer(case.model, f"{case.layer}:1", num_images=2)
    found = visualizer(steps=3, verbose=0)
    features = kv.activations(case.model, found, [case.layer])[case.layer]
    features = np.moveaxis(features, case.channel_axis, -1)
    np.testing.assert_allclose(visualizer.values(), reference.channel(features, 1), atol=1e-5)


def test_inputs_that_are_not_drawn():
    case = build("multi_input_dict")
    metadata = case.inputs["metadata"]
    for held in (metadata[:1], metadata[:2]):
        visualizer = maximizer(case.model, 1, num_images=2, constants={"metadata": held})
        found = visualizer(steps=3, verbose=0)
        assert found.shape == (2, 16, 12, 3)
        rows = np.broadcast_to(held, (2, 6))
        logits = keras.ops.convert_to_numpy(
            case.linear_model({"image": found, "metadata": rows.copy()})
        )
        np.testing.assert_allclose(visualizer.values(), logits[:, 1], atol=1e-4)
    visualizer.reset()
    first = visualizer.values()
    visualizer.fit(steps=30, verbose=0)
    assert (visualizer.values() > first).all()


@pytest.mark.parametrize(
    ("constants", "words"),
    [
        ({"depth": np.zeros((1, 6))}, "must name inputs"),
        ({"image": np.zeros((1, 16, 12, 3)), "metadata": np.zeros((1, 6))}, "At least one"),
    ],
)
def test_constants_that_cannot_be(constants, words):
    with pytest.raises(InputError, match=words):
        maximizer(build("multi_input_dict").model, 1, constants=constants)


# ---------------------------------------------------------------- many pictures, transparency


def test_diversity_spreads_the_pictures():
    network = small(size=(12, 12))
    network.get_layer("conv").bias.assign(np.zeros(4))

    def alike(goal):
        found = drawn(network, goal, 80, num_images=3, seed=1, value_range="-1..1")
        return reference.diversity(kv.activations(network, found, ["conv"])["conv"]).mean()

    goal = objectives.channel("conv", 1)
    plain, spread = alike(goal), alike(goal - 0.2 * objectives.diversity("conv"))
    assert spread < plain - 0.3


def test_a_list_draws_its_pictures_side_by_side(model):
    together = drawn(model, ["conv:0", "conv:1", "conv:2"], 8)
    assert together.shape == (3, 8, 6, 3)
    for i in range(3):
        visualizer = maximizer(model, f"conv:{i}")
        visualizer.reset(maximizer(model, ["conv:0", "conv:1", "conv:2"]).pictures()[i : i + 1])
        visualizer.fit(steps=8, verbose=0)
        np.testing.assert_allclose(visualizer.pictures()[0], together[i], atol=0.01)


def test_what_the_unit_does_not_care_about_becomes_transparent():
    weights = np.zeros((6, 6, 3, 1), "float32")
    weights[:, :3] = 1.0
    goal = objectives.class_score(0) * (1 - objectives.opacity())
    visualizer = maximizer(linear(weights), goal, image=images.Pixels(alpha=True))
    found = visualizer(steps=250, verbose=0)
    display = visualizer.display()
    assert found.shape == (1, 6, 6, 3)
    assert display.shape == (1, 6, 6, 4)
    opacity = display[0, ..., 3]
    assert opacity[:, :3].mean() > opacity[:, 3:].mean() + 0.3
    over_grey = display[..., :3] * display[..., 3:] + 0.5 * (1 - display[..., 3:])
    np.testing.assert_allclose(found, over_grey, atol=1e-5)
    seen = (found * weights[None, ..., 0]).sum() * (1 - opacity.mean())
    np.testing.assert_allclose(visualizer.values(), [seen], rtol=1e-4)


def test_display_is_rgb_whatever_the_model_takes(model):
    visualizer = maximizer(model, 1, value_range="keras.applications.resnet50")
    found = visualizer(steps=3, verbose=0)
    expected = keras.applications.resnet50.preprocess_input(visualizer.display() * 255)
    np.testing.assert_allclose(found, expected, atol=1e-3)


# ---------------------------------------------------------------- compiled once


def test_nothing_is_traced_again(model, monkeypatch):
    made = []

    class Counted(Loop):
        def __init__(self, step, size):
            made.append(0)

            def counted():
                made[-1] += 1
                return step()

            super().__init__(counted, size)

    monkeypatch.setattr("kerasviz.features.activation_maximization.Loop", Counted)
    visualizer = maximizer(model, 1, transforms=None)
    for steps in (3, 40, 1, 17):
        visualizer(steps=steps, verbose=0)
    visualizer.fit(steps=5, verbose=0)
    assert made == [1]
    visualizer.compile("sgd")
    visualizer(steps=3, verbose=0)
    assert made == [1, 1]


def test_a_loop_returns_what_each_step_returned():
    count = tf.Variable(0.0)
    traced = []

    def step():
        traced.append(1)
        count.assign_add(1.0)
        return tf.stack([count, -count])

    loop = Loop(step, 2)
    np.testing.assert_array_equal(loop(3), [[1, -1], [2, -2], [3, -3]])
    np.testing.assert_array_equal(loop(2), [[4, -4], [5, -5]])
    assert loop(0).shape == (0, 2)
    assert len(traced) == 1


# ---------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"target": "conv:9"}, AddressError, "from 0 to 3"),
        ({"target": "convv:1"}, AddressError, "Closest: 'conv'"),
        ({"target": objectives.neuron("head", 0)}, MethodError, "positions"),
        ({"target": None}, TargetError, "`target` must say"),
        ({"target": 3}, TargetError, "3"),
        ({"target": 1, "num_images": 0}, InputError, "`num_images`"),
        ({"target": 1, "num_images": True}, InputError, "`num_images`"),
        ({"target": [1, 2], "num_images": 3}, InputError, "lists of 2 and 3"),
        ({"target": 1, "seed": -1}, InputError, "`seed`"),
        ({"target": 1, "seed": 1.5}, InputError, "`seed`"),
        ({"target": 1, "image": images.Pixels}, InputError, "`image` must be"),
        ({"target": 1, "image": images.Pixels(size=9)}, InputError, "`size` must be"),
        ({"target": 1, "value_range": "dark"}, InputError, "`value_range` must be"),
        ({"target": 1, "preset": "deep"}, InputError, "`preset` must be"),
        ({"target": 1, "transforms": 3}, InputError, "`transforms` must be"),
        ({"target": 1, "regularizers": "l2"}, InputError, "`regularizers` must be"),
        ({"target": 1, "constants": {"x": 1}}, InputError, "`constants` must name"),
        (
            {"target": objectives.Objective("flat", lambda scene: tf.zeros(1))},
            MethodError,
            "gives no gradient",
        ),
        (
            {"target": objectives.Objective("pair", lambda scene: tf.zeros(2))},
            InputError,
            "one value per picture",
        ),
    ],
)
def test_settings_that_cannot_be(model, settings, error, words):
    with pytest.raises(error, match=words):
        drawn(model, **settings)


@pytest.mark.parametrize("steps", [0, -3, 2.5, "many", True])
def test_steps_are_counted_from_one(model, steps):
    with pytest.raises(InputError, match="`steps`"):
        drawn(model, 1, steps)


def test_nan_in_the_weights_is_named_and_the_pictures_are_kept():
    network = small()
    visualizer = maximizer(network, 1)
    before = visualizer(steps=3, verbose=0)
    weights = network.get_weights()
    network.set_weights([w * np.nan for w in weights])
    with pytest.raises(MethodError, match=r"stays finite.*NaN in the model's weights"):
        visualizer.fit(steps=3, verbose=0)
    np.testing.assert_array_equal(visualizer.pictures(), before)
    network.set_weights(weights)
    np.testing.assert_array_equal(visualizer(steps=3, verbose=0), before)


def test_a_model_that_was_never_built():
    with pytest.raises(InputError, match="must be built"):
        maximizer(keras.Sequential([keras.layers.Dense(2)]), 1)


def test_regularizers_pull_their_way(model):
    plain = drawn(model, 1, 40)
    smooth = drawn(model, 1, 40, regularizers=[10 * objectives.total_variation(2)])
    assert reference.total_variation(smooth, 1) < 0.5 * reference.total_variation(plain, 1)
    theirs = drawn(model, 1, 40, regularizers=[tf_keras_vis.TotalVariation2D(weight=30.0)])
    assert reference.total_variation(theirs, 1) < 0.5 * reference.total_variation(plain, 1)


# ---------------------------------------------------------------- photos that are compared with


def test_regularizers_may_compare_with_photos(model):
    photo = np.random.default_rng(0).uniform(size=(1, 8, 6, 3)).astype("float32")
    away = objectives.activation_difference("conv", photo)
    visualizer = maximizer(model, 1, regularizers=[0.5 * away])
    visualizer(steps=1, verbose=0)
    start = maximizer(model, 1).pictures()
    features, held = (kv.activations(model, x, ["conv"])["conv"] for x in (start, photo))
    score = keras.ops.convert_to_numpy(model(start))[:, 1]
    expected = score - 0.5 * reference.difference(features, held)
    np.testing.assert_allclose(visualizer.trajectory[0], expected, atol=1e-4)


def test_photos_are_seen_by_the_model_as_it_is_now():
    network = small()
    photo = np.random.default_rng(0).uniform(size=(1, 8, 6, 3)).astype("float32")
    goal = objectives.inversion("conv", photo)
    visualizer = maximizer(network, goal)
    visualizer(steps=3, verbose=0)
    network.set_weights(small(seed=1).get_weights())
    visualizer(steps=3, verbose=0)
    fresh = maximizer(network, goal)
    fresh(steps=3, verbose=0)
    np.testing.assert_allclose(visualizer.trajectory, fresh.trajectory, atol=1e-6)
    np.testing.assert_allclose(visualizer.values(), fresh.values(), atol=1e-6)


def test_inversion_finds_a_photo(model):
    photo = np.random.default_rng(0).uniform(0.2, 0.8, size=(1, 8, 6, 3)).astype("float32")
    visualizer = maximizer(model, objectives.inversion("conv", photo), image=images.Pixels())
    visualizer(steps=150, verbose=0)
    assert visualizer.trajectory[0] < -0.05
    assert visualizer.values() > -0.002


def test_starting_pictures_of_several_inputs():
    case = build("multi_input")
    visualizer = maximizer(case.model, 1)
    found = visualizer(steps=2, verbose=0)
    visualizer.reset(found)
    for name, pictures in visualizer.pictures().items():
        np.testing.assert_allclose(pictures, found[name], atol=2e-3)
    with pytest.raises(InputError, match="`start` must"):
        visualizer.reset({next(iter(found)): next(iter(found.values()))})


@pytest.mark.parametrize("settings", [{"epochs": 2}, {"batch_size": 4}, {"x": np.zeros(3)}])
def test_settings_of_fit_that_mean_nothing_here(model, settings):
    with pytest.raises((InputError, TypeError)):
        maximizer(model, 1).fit(steps=2, verbose=0, **settings)


def test_vectors_are_drawn_with_every_image_and_preset():
    case = build("multi_input_dict")
    for settings in (
        {"image": images.CPPN()},
        {"image": images.Laplacian(), "regularizers": [objectives.total_variation()]},
        {"preset": "keras-vis", "transforms": None},
    ):
        found = maximizer(case.model, 1, **settings)(steps=2, verbose=0)
        assert found["metadata"].shape == (1, 6)
        assert np.isfinite(found["metadata"]).all()


def test_a_flat_start_under_a_high_norm_stays_finite(model):
    image, penalty = images.CPPN(layers=2), [objectives.lp(6)]
    found = drawn(model, 1, 2, image=image, regularizers=penalty)
    assert np.isfinite(found).all()
