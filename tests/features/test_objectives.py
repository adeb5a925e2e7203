"""Objectives against loops over pictures and positions, on all kinds of models."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from tf_keras_vis.activation_maximization import regularizers as tf_keras_vis
from tf_keras_vis.utils import scores as tf_keras_vis_scores

import kerasviz as kv
from kerasviz.errors import AddressError, InputError, MethodError, TargetError
from kerasviz.features.objectives import Scene
from kerasviz.features.regularizing import to_regularizers
from tests.conftest import build
from tests.features.scenes import values
from tests.reference import objectives as reference

objectives = kv.objectives
CASES = [
    "functional",
    "subclassed_nested",
    "shared_layer",
    "shared_encoder",
    "multi_input_dict",
    "conv1d",
    "conv3d",
    "channels_first",
    "mixed_float16",
    "time_distributed",
]


def features_of(case, layer):
    """Activations, channels last, as the layer returns them."""
    array = kv.activations(case.model, case.inputs, [layer])[layer].astype("float32")
    return np.moveaxis(array, case.channel_axis, -1) if array.ndim > 2 else array


def photos_of(case, count):
    """Other inputs of the model: the same samples, upside down."""
    return np.ascontiguousarray(case.inputs[:count] * -0.7 + 0.1)


def close(found, expected, tolerance=1e-4):
    scale = np.abs(expected).max() + 1e-3
    np.testing.assert_allclose(found, expected, atol=tolerance * scale)


@pytest.mark.parametrize("case", CASES, indirect=True)
def test_channels_directions_and_positions(case):
    layer, random = case.layer, np.random.default_rng(0)
    features = features_of(case, layer)
    count, *sizes, channels = features.shape
    each = [i % channels for i in range(count)]
    vector, vectors = random.normal(size=channels), random.normal(size=(count, channels))
    corner = tuple(size - 1 for size in sizes)
    first = [i % sizes[0] for i in range(count)]
    rest = corner[1:]
    middle = tuple(size // 2 for size in sizes)
    asked = {
        objectives.channel(layer, 1): reference.channel(features, 1),
        objectives.channel(layer, each): reference.channel(features, each),
        objectives.neuron(layer, 2): features[(slice(None), *middle, 2)],
        objectives.neuron(layer, 2, position=corner): features[(slice(None), *corner, 2)],
        objectives.neuron(layer, each, position=(first, *rest)): np.array(
            [features[(i, f, *rest, c)] for i, (f, c) in enumerate(zip(first, each, strict=True))]
        ),
        objectives.layer(layer): (features.astype("float64") ** 2).reshape(count, -1).mean(1),
        objectives.direction(layer, vector): reference.weighted_product(
            features, [vector] * count, 0
        ),
        objectives.direction(layer, vectors, cosine_power=2): reference.weighted_product(
            features, vectors, 2
        ),
        objectives.direction(layer, vectors, 1, position=corner): reference.weighted_product(
            features[(slice(None), *corner)], vectors, 1
        ),
        objectives.cosine(layer, vectors): reference.mean_cosine(features, vectors),
        objectives.diversity(layer): reference.diversity(features),
        objectives.alignment(layer): reference.alignment(features, 2.0),
        objectives.alignment(layer, decay=3.0): reference.alignment(features, 3.0),
        objectives.activation_difference(layer): reference.difference(
            features, np.roll(features, -1, axis=0)
        ),
    }
    found = values(case.model, list(asked), case.inputs)
    for objective, value, expected in zip(asked, found, asked.values(), strict=True):
        assert value.shape == (count,), objective
        close(value, expected, 5e-3 if "cosine" in str(objective) else 2e-4)


@pytest.mark.parametrize("case", ["functional", "channels_first", "conv3d"], indirect=True)
def test_comparisons_with_photos(case):
    layer = case.layer
    features = features_of(case, layer)
    one, each = photos_of(case, 1), photos_of(case, len(features))

    def excited(photos):
        array = kv.activations(case.model, photos, [layer])[layer]
        return np.moveaxis(array, case.channel_axis, -1)

    asked = {}
    for photos in (one, each):
        held = excited(photos)
        asked |= {
            objectives.inversion(layer, photos): reference.inversion(features, held),
            objectives.caricature(layer, photos): reference.caricature(features, held, 1),
            objectives.caricature(layer, photos, 0): reference.caricature(features, held, 0),
            objectives.style(layer, photos): reference.style(features, held),
            objectives.style([layer, layer], photos): 2 * reference.style(features, held),
            objectives.activation_difference(layer, photos): reference.difference(features, held),
        }
    found = values(case.model, list(asked), case.inputs)
    for objective, value, expected in zip(asked, found, asked.values(), strict=True):
        close(value, expected)
        assert objective.num_images in (None, len(features))


def test_a_photo_inverts_itself():
    case = build("functional")
    asked = [
        objectives.inversion("conv_2", case.inputs),
        objectives.style(["conv_1", "conv_2"], case.inputs),
        objectives.activation_difference("conv_1", case.inputs),
    ]
    for value in values(case.model, asked, case.inputs):
        np.testing.assert_allclose(value, 0.0, atol=1e-6)
    (nothing,) = values(case.model, [objectives.inversion("conv_1", case.inputs)], case.inputs * 0)
    base = kv.activations(case.model, case.inputs * 0, ["conv_1"])["conv_1"]
    held = kv.activations(case.model, case.inputs, ["conv_1"])["conv_1"]
    close(nothing, reference.inversion(base, held))


def test_rows_and_columns_count_from_the_upper_left_corner():
    case = build("functional")
    features = features_of(case, "conv_1")
    columns = [0, 1, 2, 3, 4, 5, 11]
    asked = {
        objectives.neuron("conv_1", 3, row=2, column=5): features[:, 2, 5, 3],
        objectives.neuron("conv_1", 3, row=15): features[:, 15, 6, 3],
        objectives.neuron("conv_1", 3, column=columns): features[range(7), 8, columns, 3],
        objectives.direction("conv_1", np.eye(6)[4], row=1): features[:, 1, 6, 4],
    }
    found = values(case.model, list(asked), case.inputs)
    for value, expected in zip(found, asked.values(), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-6)
    assert [str(one) for one in asked] == [
        "conv_1:3 at (2, 5)",
        "conv_1:3 at (15, middle)",
        "conv_1:3 at (middle, 0,1,2,3,…)",
        "direction of conv_1 at (1, middle)",
    ]


def test_units_of_a_layer_without_positions():
    case = build("sequential_with_input")
    hidden = kv.activations(case.model, case.inputs, ["hidden"])["hidden"]
    units = [0, 1, 2, 3, 4, 5, 6]
    vector = np.arange(8.0) - 3
    asked = {
        objectives.channel("hidden", 5): hidden[:, 5],
        objectives.channel("hidden", units): hidden[units, units],
        objectives.direction("hidden", vector): hidden @ vector,
        objectives.layer("hidden"): (hidden**2).mean(1),
    }
    for value, expected in zip(
        values(case.model, list(asked), case.inputs), asked.values(), strict=True
    ):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "case",
    [
        "functional",
        "softmax_op",
        "sigmoid_head",
        "linear_regression",
        "segmentation",
        "multi_input",
    ],
    indirect=True,
)
def test_class_scores_are_logits(case):
    logits = keras.ops.convert_to_numpy(case.linear_model(case.inputs))
    logits = logits.reshape(len(logits), -1, logits.shape[-1]).mean(1)
    each = [i % case.num_units for i in range(len(logits))]
    sign = -1 if case.final == "sigmoid" else 1
    asked = {objectives.class_score(case.index): sign * logits[:, case.index]}
    if case.num_units > 1:
        asked[objectives.class_score(each)] = logits[range(len(logits)), each]
    for value, expected in zip(
        values(case.model, list(asked), case.inputs), asked.values(), strict=True
    ):
        np.testing.assert_allclose(value, expected, atol=1e-4)


@pytest.mark.parametrize("case", ["multi_output", "multi_output_dict"], indirect=True)
def test_class_scores_of_one_of_several_outputs(case):
    logits = case.linear_model(case.inputs)[case.output]
    (value,) = values(case.model, [objectives.class_score(case.target)], case.inputs)
    np.testing.assert_allclose(value, keras.ops.convert_to_numpy(logits)[:, 1], atol=1e-4)


def test_class_scores_of_labels_and_of_tf_keras_vis():
    case = build("softmax_own_layer")
    logits = keras.ops.convert_to_numpy(case.linear_model(case.inputs))
    labels = ["ant", "bee", "cat", "dog"]
    named = ["ant", "dog", "cat", "bee", "ant", "ant", "dog"]
    score = tf_keras_vis_scores.CategoricalScore([0, 1, 2, 3, 0, 1, 2])
    asked = {
        objectives.class_score("cat"): logits[:, 2],
        objectives.class_score(named): logits[range(7), [labels.index(name) for name in named]],
        objectives.class_score(score): score(tf.constant(logits)).numpy(),
        objectives.class_score(lambda outputs: outputs[:, 0] * 2): logits[:, 0] * 2,
    }
    found = values(case.model, list(asked), case.inputs, labels=labels)
    for value, expected in zip(found, asked.values(), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-4)


def constant(*given, description="c", **settings):
    """An objective that is worth the given numbers, whatever it sees."""
    return objectives.Objective(
        description, lambda scene: tf.constant(given, tf.float32), **settings
    )


def worth(objective, count=2):
    scene = Scene(None, count, {}, {}, None, lambda units: None, {})
    return np.asarray(objective.values(scene)).tolist()


def test_algebra():
    a, b = constant(1, 2, description="a"), constant(10, 30, description="b")
    assert worth(a + b) == [11, 32]
    assert worth(a - b) == [-9, -28]
    assert worth(a * b) == [10, 60]
    assert worth(a + 3) == worth(3 + a) == [4, 5]
    assert worth(a - 3) == [-2, -1]
    assert worth(3 - a) == [2, 1]
    assert worth(a * 3) == worth(3 * a) == worth(np.float64(3) * a) == [3, 6]
    assert worth(np.float32(3) + a) == [4, 5]
    assert worth(b / 2) == [5, 15]
    assert worth(-a) == [-1, -2]
    assert worth(sum([a, b, a])) == [12, 34]
    assert worth(a - (b - a) * 2) == [-17, -54]
    assert worth(a - 0.5 * (a + b)) == [-4.5, -14]


def test_descriptions_read_as_they_are_computed():
    a, b = constant(1, description="a"), constant(2, description="b")
    assert str(a + b) == "a + b"
    assert str(a - b) == "a - b"
    assert str(a - (b - a)) == "a - (b - a)"
    assert str(a - (b + a)) == "a - (b + a)"
    assert str((a - b) - a) == "a - b - a"
    assert str((a + b) * (a - b)) == "(a + b) * (a - b)"
    assert str(2 * (a + b)) == "2 * (a + b)"
    assert str(a - 0.01 * b) == "a - 0.01 * b"
    assert str(a + 1) == "a + 1"


@pytest.mark.parametrize("other", ["a", None, [1]])
def test_algebra_with_something_else(other):
    with pytest.raises(TypeError):
        constant(1) + other


def test_lists_speak_of_one_number_of_pictures():
    three, also = objectives.channel("a", [1, 2, 3]), objectives.channel("b", range(3))
    assert three.num_images == 3
    joined = three + 0.5 * also
    assert joined.num_images == 3
    assert joined.names == ("a:1 + b:0", "a:2 + b:1", "a:3 + b:2")
    assert (three - objectives.diversity("a")).names == ("a:1", "a:2", "a:3")
    assert objectives.channel("a", 1).num_images is None
    assert objectives.neuron("a", 1, row=[1, 2], column=3).num_images == 2
    assert objectives.direction("a", np.eye(4)).num_images == 4
    assert objectives.class_score([1, 2]).num_images == 2
    assert objectives.interpolation(three, objectives.channel("b", 1)).num_images == 3
    with pytest.raises(InputError, match="lists of 2 and 3 entries"):
        three + objectives.channel("b", [1, 2])
    with pytest.raises(InputError, match="lists of 2 and 3 entries"):
        objectives.neuron("a", [1, 2, 3], row=[1, 2], column=0)
    with pytest.raises(InputError, match="lists of 2 and 3 entries"):
        objectives.interpolation(three, objectives.channel("b", [1, 2]))


def test_what_is_joined_keeps_the_photos_of_its_parts():
    photo = np.ones((1, 4, 4, 3))
    one, other = objectives.inversion("a", photo), objectives.style(["a", "b"], photo)
    for joined in (one + other, one - other, one * other, objectives.interpolation(one, other)):
        assert joined.photos == one.photos + other.photos
    assert (2 * other - 1).photos == other.photos


def test_interpolation_goes_in_even_steps():
    one, other = constant(1, 2, 3, 4, 5), constant(10, 20, 30, 40, 50)
    found = worth(objectives.interpolation(one, other), 5)
    np.testing.assert_allclose(found, [1, 6.5, 16.5, 31, 50])


@pytest.mark.parametrize(
    "make",
    [
        lambda: objectives.diversity("conv_1"),
        lambda: objectives.alignment("conv_1"),
        lambda: objectives.activation_difference("conv_1"),
        lambda: objectives.interpolation(constant(1), constant(2)),
    ],
)
def test_one_picture_cannot_be_compared_with_the_others(make):
    case = build("functional")
    with pytest.raises(InputError, match=r"compares pictures with each other.*`num_images`"):
        values(case.model, [make()], case.inputs[:1])


PICTURES = np.random.default_rng(3).uniform(size=(7, 11, 9, 2)).astype("float32")


@pytest.mark.parametrize("pictures", [PICTURES, PICTURES[:, 0], PICTURES[..., None][:, :4, :5]])
def test_regularizers(pictures):
    case = build("functional")
    flat = pictures.reshape(7, -1).astype("float64")
    asked = {
        objectives.l1(): np.abs(flat - 0.5).mean(1),
        objectives.l1(0.2): np.abs(flat - 0.2).mean(1),
        objectives.l2(): np.sqrt(((flat - 0.5) ** 2).mean(1)),
        objectives.lp(6): (np.abs(flat - 0.5) ** 6).mean(1) ** (1 / 6),
        objectives.lp(3, 0.0): (flat**3).mean(1) ** (1 / 3),
        objectives.total_variation(): reference.total_variation(pictures, 1),
        objectives.total_variation(2): reference.total_variation(pictures, 2),
        objectives.boundary_complexity(2): reference.boundary(pictures, 2, 0.5),
        objectives.boundary_complexity(3, 0.1): reference.boundary(pictures, 3, 0.1),
        objectives.boundary_complexity(99): reference.boundary(pictures, 99, 0.5),
        objectives.blur(): 0.5
        * ((reference.blurred(pictures) - pictures) ** 2).reshape(7, -1).mean(1),
    }
    found = values(case.model, list(asked), case.inputs, pictures=pictures)
    for value, expected in zip(found, asked.values(), strict=True):
        close(value, expected)


def test_regularizers_of_what_has_no_positions():
    case, vectors = build("functional"), PICTURES[:, 0, :, 0]
    asked = [objectives.total_variation(2), objectives.blur(), objectives.l1()]
    variation, blurring, l1 = values(case.model, asked, case.inputs, pictures=vectors)
    np.testing.assert_array_equal(variation, 0.0)
    np.testing.assert_array_equal(blurring, 0.0)
    np.testing.assert_allclose(l1, np.abs(vectors - 0.5).mean(1), rtol=1e-5)


def test_blur_pulls_towards_the_blurred_picture_only():
    pictures = tf.constant(PICTURES)
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        scene = Scene(None, 7, {"image": pictures}, {}, None, lambda units: None, {})
        value = objectives.blur().values(scene)
    expected = (PICTURES - reference.blurred(PICTURES)) / PICTURES[0].size
    np.testing.assert_allclose(tape.gradient(value, pictures), expected, atol=1e-8)


def test_regularizers_have_a_gradient_where_a_picture_is_flat():
    flat = tf.fill((1, 5, 5, 1), 0.5)
    for one in (objectives.l2(), objectives.lp(6), objectives.total_variation()):
        with tf.GradientTape() as tape:
            tape.watch(flat)
            scene = Scene(None, 1, {"image": flat}, {}, None, lambda units: None, {})
            value = one.values(scene)
        assert np.isfinite(tape.gradient(value, flat).numpy()).all(), one


def test_regularizers_of_tf_keras_vis_see_the_models_own_range():
    case = build("functional")
    given = [tf_keras_vis.TotalVariation2D(weight=3.0), tf_keras_vis.Norm(weight=2.0, p=3)]
    mine = [*to_regularizers(given), *to_regularizers(lambda x: tf.reduce_max(x, (1, 2, 3)))]
    found = values(case.model, mine, case.inputs, pictures=PICTURES)
    for value, one in zip(found, given, strict=False):
        np.testing.assert_allclose(value, one(tf.constant(case.inputs)), rtol=1e-5)
    np.testing.assert_allclose(found[2], case.inputs.max((1, 2, 3)))
    assert [str(one) for one in mine[:2]] == ["TotalVariation2D", "Norm"]
    l2 = objectives.l2()
    assert to_regularizers(l2) == [l2]


@pytest.mark.parametrize("given", ["l2", 0.5, [tf_keras_vis.Norm], None])
def test_what_is_no_regularizer(given):
    with pytest.raises(InputError, match="`regularizers` must be"):
        to_regularizers(given)


def test_opacity():
    case, opacity = build("functional"), np.linspace(0, 1, 7)
    asked = [objectives.opacity(), 3 * (1 - objectives.opacity())]
    found, away = values(case.model, asked, case.inputs, opacity=opacity)
    np.testing.assert_allclose(found, opacity, atol=1e-6)
    np.testing.assert_allclose(away, 3 * (1 - opacity), atol=1e-6)
    with pytest.raises(MethodError, match=r"alpha=True"):
        values(case.model, [objectives.opacity()], case.inputs)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: objectives.channel("conv_3", 0), AddressError, "Closest: 'conv_"),
        (lambda: objectives.channel("conv_2", 5), AddressError, "from 0 to 4.*Received: 5"),
        (lambda: objectives.channel("conv_2", [0] * 6 + [9]), AddressError, "Received: 9"),
        (lambda: objectives.neuron("conv_2", 0, 8, 0), AddressError, r"\(8, 6\).*\(8, 0\)"),
        (lambda: objectives.neuron("conv_2", 0, 0, [0] * 6 + [6]), AddressError, "inside"),
        (lambda: objectives.neuron("conv_2", 0, position=3), InputError, "2 indices"),
        (lambda: objectives.neuron("conv_2", 0, position=(1, 2, 3)), InputError, "2 indices"),
        (lambda: objectives.neuron("head", 0), MethodError, "needs a layer with positions"),
        (lambda: objectives.direction("head", [1] * 4, row=0), MethodError, "positions"),
        (lambda: objectives.direction("conv_2", [1, 2]), InputError, "5 numbers.*Received: 2"),
        (lambda: objectives.cosine("conv_2", [1, 2]), InputError, "5 numbers"),
        (lambda: objectives.class_score(4), TargetError, "4"),
        (lambda: objectives.class_score("dog"), TargetError, "dog"),
    ],
)
def test_what_the_model_does_not_have(make, error, words):
    case = build("functional")
    with pytest.raises(error, match=words):
        values(case.model, [make()], case.inputs)


@pytest.mark.parametrize(
    "make",
    [
        lambda: objectives.channel("a", -1),
        lambda: objectives.channel("a", 1.5),
        lambda: objectives.channel("a", "1"),
        lambda: objectives.channel("a", True),
        lambda: objectives.channel("a", []),
        lambda: objectives.channel("a", [[1]]),
        lambda: objectives.neuron("a", 1, row=-1),
        lambda: objectives.neuron("a", 1, row=1.5),
        lambda: objectives.neuron("a", 1, row="top"),
        lambda: objectives.neuron("a", 1, row=1, position=(1, 2)),
        lambda: objectives.direction("a", [0, 0]),
        lambda: objectives.direction("a", [1, np.nan]),
        lambda: objectives.direction("a", 3.0),
        lambda: objectives.direction("a", "north"),
        lambda: objectives.cosine("a", np.ones((2, 2, 2))),
        lambda: objectives.inversion("a", np.ones(3)),
        lambda: objectives.inversion("a", np.full((1, 4), np.nan)),
        lambda: objectives.style("a", {"image": np.ones((1, 4, 4, 3))}),
        lambda: objectives.style("a", [np.ones((1, 4, 4, 3)), np.ones((1, 2))]),
        lambda: objectives.caricature("a", np.ones((0, 4, 4, 3))),
        lambda: objectives.lp(0.5),
    ],
)
def test_settings_that_cannot_be(make):
    with pytest.raises(InputError, match="Received"):
        make()


def test_photos_of_another_size():
    case = build("variable_size")
    smaller = case.inputs[:, :10, :10]
    for make in (objectives.inversion, objectives.caricature, objectives.activation_difference):
        with pytest.raises(InputError, match=r"size of the pictures.*\(7, 10, 10, 3\)"):
            values(case.model, [make("conv_2", smaller)], case.inputs)
    (style,) = values(case.model, [objectives.style("conv_2", smaller)], case.inputs)
    held = kv.activations(case.model, smaller, ["conv_2"])["conv_2"]
    close(style, reference.style(features_of(case, "conv_2"), held))


def test_shorthands():
    case, channel = build("functional"), objectives.channel
    asked = {
        "conv_2:3": channel("conv_2", 3),
        "conv_2": objectives.layer("conv_2"),
        "cat": objectives.class_score(2),
        1: objectives.class_score(1),
        (1, 2, 3, 0, 1, 2, 3): objectives.class_score([1, 2, 3, 0, 1, 2, 3]),
        ("conv_2:0", "conv_2:1", "conv_2:2", "conv_2:3", "conv_2:4", "conv_2:0", "conv_2:1"): (
            channel("conv_2", [0, 1, 2, 3, 4, 0, 1])
        ),
    }
    made = [objectives.to_objective(case.model, given) for given in asked]
    labels = ["ant", "bee", "cat", "dog"]
    found = values(case.model, [*made, *asked.values()], case.inputs, labels=labels)
    for mine, theirs in zip(found[: len(asked)], found[len(asked) :], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert made[-1].names[:2] == ("conv_2:0", "conv_2:1")


def test_a_list_of_different_things_has_one_picture_for_each():
    case = build("functional")
    mine = objectives.neuron("conv_1", 2)
    given = ["conv_1:1", "conv_2:1", "conv_1", 3, "cat", mine, "conv_2"]
    joined = objectives.to_objective(case.model, given)
    assert joined.num_images == 7
    assert joined.names == (
        "conv_1:1",
        "conv_2:1",
        "layer conv_1",
        "class 3",
        "class 'cat'",
        "conv_1:2 at the middle",
        "layer conv_2",
    )
    parts = [objectives.to_objective(case.model, one) for one in given]
    labels = ["ant", "bee", "cat", "dog"]
    found, *alone = values(case.model, [joined, *parts], case.inputs, labels=labels)
    np.testing.assert_array_equal(found, [value[i] for i, value in enumerate(alone)])


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (None, TargetError, "`target` must say"),
        ("conv_3:1", AddressError, "Closest"),
        (["conv_1:1", "conv_3:1"], AddressError, "conv_3"),
        (["conv_1:1", objectives.channel("conv_1", [1, 2, 3])], InputError, "lists of 2 and 3"),
    ],
)
def test_shorthands_for_nothing(given, error, words):
    with pytest.raises(error, match=words):
        objectives.to_objective(build("functional").model, given)
