"""The model kinds are what they say, and the references agree with independent arithmetic."""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import models
from tests.models import EXTRA_SPELLINGS, KINDS, SPELLINGS, Case, Rectifier
from tests.reference import (
    cam,
    convolution,
    deconvnet,
    gradcam,
    guided,
    intercept,
    resize,
    saliency,
    scores,
)

ALL_SPELLINGS = {**SPELLINGS, **EXTRA_SPELLINGS}
GAP_KINDS = (
    "conv1d",
    "conv3d",
    "channels_first",
    "variable_size",
    "gap_functional",
    "gap_nested",
    "gap_sequential",
    "gap_subclassed",
    "residual",
)
PER_STEP_KINDS = ("time_distributed", "recurrent")
EXACT_KINDS = (
    "functional",
    "subclassed_nested",
    "shared_encoder",
    "multi_input_dict",
    "conv1d",
    "class_token_vit",
    "recurrent",
    "segmentation",
)


@functools.cache
def case_of(name: str) -> Case:
    return KINDS[name]() if name in KINDS else ALL_SPELLINGS[name]()


def addresses(case: Case) -> list[str]:
    return [case.layer, *case.more_layers, *([case.tokens.layer] if case.tokens else [])]


def tensors(inputs: object) -> object:
    return keras.tree.map_structure(tf.constant, inputs)


@pytest.mark.parametrize("name", KINDS)
def test_answers_with_the_activation_of_its_logits(name: str) -> None:
    case = case_of(name)
    inputs = tensors(case.inputs)
    compiled = tf.function(functools.partial(case.model, training=False))
    check_outputs(case, compiled(inputs))
    if name not in PER_STEP_KINDS:
        graph = compiled.get_concrete_function(inputs).graph
        operations = [operation.type for operation in graph.get_operations()]
        assert operations.count("Relu") + operations.count("Relu6") == case.num_rectifiers


@pytest.mark.parametrize(
    "name", ["multi_input", "multi_input_dict", "multi_output_dict", "variable_size", "recurrent"]
)
def test_predicts(name: str) -> None:
    case = case_of(name)
    check_outputs(case, case.model.predict(case.inputs, batch_size=4, verbose=0))


def check_outputs(case: Case, structure: object) -> None:
    outputs = np.asarray(scores.explained_output(case, structure), "float32")
    assert outputs.shape[0] == models.BATCH
    assert outputs.shape[-1] == case.num_units
    expected = scores.activated(case, scores.logits(case))
    tolerance = 1e-6 if case.tolerance < 0.01 else case.tolerance
    np.testing.assert_allclose(outputs, expected, rtol=tolerance, atol=tolerance)
    assert np.ptp(outputs, axis=0).max() > 0.05


def test_training_changes_the_kind_that_is_random_in_training() -> None:
    case = case_of("random_in_training")
    still = case.model(case.inputs, training=False)
    np.testing.assert_array_equal(still, case.model(case.inputs, training=False))
    assert np.abs(still - case.model(case.inputs, training=True)).max() > 0.01


@pytest.mark.parametrize("name", KINDS)
def test_gradcam_is_a_map_for_most_samples(name: str) -> None:
    case = case_of(name)
    maps = gradcam.gradcam_maps(case, case.index).reshape(models.BATCH, -1)
    explained = maps.max(axis=1) == 1
    assert explained.sum() * 2 >= models.BATCH
    assert (maps.std(axis=1)[explained] > 0.02).all()
    assert (maps >= 0).all()


@pytest.mark.parametrize("name", KINDS)
def test_every_address_is_reached(name: str) -> None:
    case = case_of(name)
    sample = scores.sample_of(case.inputs, 0)
    score = functools.partial(scores.unit_score, case, index=case.index)
    for address in addresses(case):
        activation, gradient = intercept.activation_and_gradient(
            case.linear_model, sample, address, score
        )
        assert activation.shape == gradient.shape
        assert activation.ndim > 2
        assert np.ptp(activation) > 0
        assert np.ptp(gradient) > 0


@pytest.mark.parametrize("name", ["attention", "class_token_vit"])
def test_tokens_become_a_grid(name: str) -> None:
    case = case_of(name)
    assert case.tokens is not None
    maps = gradcam.gradcam(case, case.index, layer=case.tokens.layer)
    assert maps.shape == (models.BATCH, *case.tokens.grid)
    assert (maps.reshape(models.BATCH, -1).max(axis=1) > 0).sum() * 2 >= models.BATCH


@pytest.mark.parametrize("name", ["functional", "subclassed_nested", "prelu", "loaded_from_keras"])
def test_building_twice_gives_the_same_numbers(name: str) -> None:
    first = case_of(name)
    second = KINDS[name]() if name in KINDS else ALL_SPELLINGS[name]()
    np.testing.assert_array_equal(first.model(first.inputs), second.model(second.inputs))


def test_input_sizes_leave_out_channels_and_vectors() -> None:
    assert case_of("multi_input").input_sizes == ((16, 12), (10, 14))
    assert case_of("multi_input_dict").input_sizes == ((16, 12), None)
    assert case_of("channels_first").input_sizes == ((16, 12),)
    assert case_of("embedding").input_sizes == ((18,),)
    assert case_of("conv3d").input_sizes == ((8, 10, 6),)


@pytest.mark.parametrize("name", [n for n in KINDS if n.startswith(("softmax", "functional"))])
def test_log_probabilities_have_the_gradient_of_logits_up_to_a_shift(name: str) -> None:
    case = case_of(name)
    probabilities = scores.explained_output(case, case.model(case.inputs))
    difference = np.log(probabilities) - scores.logits(case)
    assert np.ptp(difference, axis=1).max() < 1e-4


@pytest.mark.parametrize("name", ["functional", "segmentation", "multi_output_second"])
def test_the_score_of_a_sample_is_its_mean_logit(name: str) -> None:
    case = case_of(name)
    for sample, expected in enumerate(scores.scores(case, case.index)):
        outputs = case.linear_model(scores.sample_of(case.inputs, sample))
        received = scores.unit_score(case, outputs, case.index)
        np.testing.assert_allclose(received, expected, rtol=1e-4)


# Finite differences.


def in_float64(case: Case, index: int, sample: int, flat_inputs: list[np.ndarray]) -> float:
    inputs = keras.tree.pack_sequence_as(scores.sample_of(case.inputs, sample), flat_inputs)
    outputs = case.exact_linear_model(inputs, training=False)
    return float(scores.unit_score(case, outputs, index))


@pytest.mark.parametrize("name", EXACT_KINDS)
def test_input_gradients_are_finite_differences(name: str) -> None:
    case = case_of(name)
    sample = 2
    gradients = saliency.input_gradients(case, case.index)
    flat = keras.tree.flatten(scores.sample_of(case.inputs, sample))
    for k, array in enumerate(flat):

        def score(point: np.ndarray, k: int = k) -> float:
            return in_float64(case, case.index, sample, [*flat[:k], point, *flat[k + 1 :]])

        positions = saliency.random_positions(array.shape)
        expected = saliency.finite_difference(score, array.astype("float64"), positions)
        received = [gradients[k][sample][position[1:]] for position in positions]
        np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-5)
        assert np.abs(expected).max() > 1e-4


@pytest.mark.parametrize("name", EXACT_KINDS)
def test_activation_gradients_are_finite_differences(name: str) -> None:
    case = case_of(name)
    sample = scores.sample_of(case.inputs, 3)
    score = functools.partial(scores.unit_score, case, index=case.index)
    model = case.exact_linear_model
    activation, gradient = intercept.activation_and_gradient(model, sample, case.layer, score)

    def substituted(point: np.ndarray) -> float:
        with intercept.edited(model, case.layer, lambda _: tf.constant(point)):
            return float(score(model(sample, training=False)))

    positions = saliency.random_positions(activation.shape)
    expected = saliency.finite_difference(substituted, activation, positions)
    np.testing.assert_allclose([gradient[p] for p in positions], expected, rtol=1e-5, atol=1e-7)
    assert np.abs(expected).max() > 1e-4


def test_float32_and_float64_gradients_agree() -> None:
    case = case_of("functional")
    (single,) = saliency.input_gradients(case, 2)
    (double,) = saliency.input_gradients(case, 2, exact=True)
    assert double.dtype == np.float64
    np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-5)


# Call sites.


def record(model: keras.Model, inputs: object, address: str) -> np.ndarray:
    seen = []

    def keep(output: tf.Tensor) -> tf.Tensor:
        seen.append(output)
        return output

    with intercept.edited(model, address, keep):
        model(inputs)
    (only,) = seen
    return only.numpy()


def test_the_calls_of_a_shared_layer_are_told_apart() -> None:
    case = case_of("shared_layer")
    stem, first, second = (
        record(case.model, case.inputs, name) for name in ("stem", "conv", "conv@2")
    )
    conv = intercept.resolve(case.model, "conv").layer
    np.testing.assert_allclose(first, conv(stem), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(second, conv(first), rtol=1e-5, atol=1e-6)
    assert np.abs(first - second).max() > 0.1


def test_the_calls_of_a_shared_encoder_see_their_own_image() -> None:
    case = case_of("shared_encoder")
    left, right = case.inputs
    for address, image in (("encoder/conv_2", left), ("encoder@2/conv_2", right)):
        encoder = intercept.resolve(case.model, "encoder").layer
        np.testing.assert_allclose(
            record(case.model, case.inputs, address), encoder(image), rtol=1e-5, atol=1e-6
        )


def test_the_gradient_of_an_idle_layer_leaves_out_the_path_around_it() -> None:
    inputs = keras.Input((3,), name="vector")
    skipped = keras.layers.Dropout(0.5, name="dropout")(inputs)
    model = keras.Model(inputs, keras.layers.Add(name="add")([inputs, skipped]))
    _, gradient = intercept.activation_and_gradient(
        model, np.ones((1, 3), "float32"), "dropout", tf.reduce_sum
    )
    np.testing.assert_array_equal(gradient, np.ones((1, 3)))


def test_interception_leaves_no_trace() -> None:
    case = case_of("subclassed_nested")
    site = intercept.resolve(case.model, "block/conv")
    before = [dict(vars(layer)) for layer in site.layers]
    with (
        pytest.raises(ZeroDivisionError),
        intercept.edited(case.model, "block/conv", lambda output: 1 / 0),
    ):
        case.model(case.inputs)
    assert [dict(vars(layer)) for layer in site.layers] == before


def test_addresses_that_do_not_exist_are_refused() -> None:
    case = case_of("shared_layer")
    with pytest.raises(LookupError, match="conv_9"):
        intercept.resolve(case.model, "conv_9")
    with pytest.raises(LookupError, match="not reached"):
        intercept.activation_and_gradient(
            case.model, case.inputs, "conv@3", lambda outputs: outputs[0, 0]
        )


# Grad-CAM and CAM.


def test_gradcam_of_a_map_worked_by_hand() -> None:
    activation = np.array([[[1.0, 2.0], [0.0, 4.0]]])
    gradient = np.array([[[3.0, -1.0], [1.0, -1.0]]])
    np.testing.assert_allclose(gradcam.combine(activation, gradient), [[0.0, 0.0]])
    np.testing.assert_allclose(gradcam.combine(activation, -gradient), [[0.0, 4.0]])
    np.testing.assert_allclose(gradcam.combine(activation, gradient, "channelwise"), [[1.0, 0.0]])


def test_a_class_per_sample() -> None:
    case = case_of("functional")
    classes = [0, 1, 2, 3, 2, 1, 0]
    mixed = gradcam.gradcam(case, classes)
    for k in range(4):
        same = gradcam.gradcam(case, k)
        chosen = [i for i, unit in enumerate(classes) if unit == k]
        np.testing.assert_array_equal(mixed[chosen], same[chosen])
        np.testing.assert_allclose(
            scores.scores(case, classes)[chosen], scores.logits(case)[chosen, k]
        )


def test_gap_kinds_are_those_with_a_head() -> None:
    assert {name for name in KINDS if case_of(name).head} == set(GAP_KINDS)


@pytest.mark.parametrize("name", GAP_KINDS)
def test_the_mean_of_a_cam_is_the_logit(name: str) -> None:
    case = case_of(name)
    for unit in (0, case.num_units - 1):
        maps = cam.cam(case, unit)
        _, bias = cam.head_weights(case)
        means = maps.reshape(models.BATCH, -1).mean(axis=1)
        np.testing.assert_allclose(
            means + bias[unit], scores.scores(case, unit), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("name", GAP_KINDS)
def test_gradcam_of_a_gap_head_is_the_rectified_cam(name: str) -> None:
    case = case_of(name)
    expected = resize.divide_by_maximum(np.maximum(cam.cam(case, case.index), 0))
    received = resize.divide_by_maximum(gradcam.gradcam(case, case.index))
    np.testing.assert_allclose(received, expected, atol=1e-5)


# Resizing.


@pytest.mark.parametrize("size", [(16, 12), (5, 4), (7, 13), (3, 3), (1, 2)])
def test_upsampling_is_that_of_tensorflow(size: tuple[int, int]) -> None:
    maps = np.random.default_rng(0).normal(size=(2, 5, 4))
    expected = tf.image.resize(maps[..., np.newaxis], size, "bilinear", antialias=False)
    np.testing.assert_allclose(resize.upsample(maps, size), expected[..., 0], atol=1e-6)


def test_upsampling_of_one_and_three_axes_worked_by_hand() -> None:
    line = np.array([[0.0, 4.0]])
    expected = np.array([0.0, 1.0, 3.0, 4.0])
    np.testing.assert_allclose(resize.upsample(line, (4,)), [expected])
    cube = np.broadcast_to(line[:, :, np.newaxis, np.newaxis], (1, 2, 2, 3))
    large = np.broadcast_to(expected[:, np.newaxis, np.newaxis], (1, 4, 5, 6))
    np.testing.assert_allclose(resize.upsample(cube, (4, 5, 6)), large)


def test_a_map_without_positive_values_becomes_zero() -> None:
    maps = np.array([[[1.0, 4.0]], [[0.0, 0.0]]])
    np.testing.assert_array_equal(resize.divide_by_maximum(maps), [[[0.25, 1.0]], [[0.0, 0.0]]])


# Spellings of rectifiers.


def test_the_nine_spellings() -> None:
    assert list(SPELLINGS) == [
        "argument",
        "activation_layer",
        "relu_layer",
        "relu6",
        "leaky_relu",
        "ops_in_graph",
        "ops_in_custom_layer",
        "tf_nn_relu",
        "nested",
    ]


@pytest.mark.parametrize("name", ALL_SPELLINGS)
def test_spellings_compute_what_their_rectifiers_say(name: str) -> None:
    case = case_of(name)
    assert case.num_rectifiers == len(case.rectifiers) == 2
    weights = models.two_convolution_weights()
    _, before_2 = guided.pre_activations(case)
    features = guided.rectify(before_2, case.rectifiers[1]).reshape(models.BATCH, -1)
    expected = features @ weights.head_kernel + weights.head_bias
    np.testing.assert_allclose(scores.logits(case), expected, rtol=1e-4, atol=1e-4)
    outputs = case.model(case.inputs)
    np.testing.assert_allclose(outputs, scores.activated(case, expected), atol=1e-5)


@pytest.mark.parametrize("name", ALL_SPELLINGS)
def test_every_piece_of_every_rectifier_is_used(name: str) -> None:
    case = case_of(name)
    for x, rectifier in zip(guided.pre_activations(case), case.rectifiers, strict=True):
        assert 0.2 < np.mean(x < rectifier.threshold) < 0.8
        assert np.isinf(rectifier.maximum) or np.mean(x > rectifier.maximum) > 0.01
        assert rectifier.threshold == 0 or np.mean((x > 0) & (x < rectifier.threshold)) > 0.01


@pytest.mark.parametrize("name", ALL_SPELLINGS)
def test_the_backward_pass_by_hand_is_the_gradient(name: str) -> None:
    case = case_of(name)
    (expected,) = saliency.input_gradients(case, 2)
    received = guided.input_gradient(case, 2, "plain")
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ALL_SPELLINGS)
def test_the_rules_differ_from_the_gradient_and_from_each_other(name: str) -> None:
    case = case_of(name)
    plain, rule, other = (guided.input_gradient(case, 2, rule) for rule in guided.RULES)
    scale = np.abs(plain).max()
    assert np.abs(plain - rule).max() > 0.1 * scale
    assert np.abs(plain - other).max() > 0.1 * scale
    assert np.abs(rule - other).max() > 0.1 * scale


def rectifier_under(rule: str, rectifier: Rectifier) -> Callable[..., tf.Tensor]:
    """The rectifier in TensorFlow, with the rule's gradient."""
    slope, threshold, maximum = rectifier

    @tf.custom_gradient
    def rectify(x: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
        y = tf.where(x >= threshold, tf.minimum(x, maximum), slope * (x - threshold))

        def guided_gradient(g: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(x)
                again = tf.where(x >= threshold, tf.minimum(x, maximum), slope * (x - threshold))
            return tape.gradient(again, x) * tf.nn.relu(g)

        def deconvolution_gradient(g: tf.Tensor) -> tf.Tensor:
            return tf.nn.relu(g) - slope * tf.nn.relu(-g)

        return y, guided_gradient if rule == "guided" else deconvolution_gradient

    return rectify


@pytest.mark.parametrize("rule", ["guided", "deconvolution"])
@pytest.mark.parametrize(
    "rectifier",
    [
        Rectifier(),
        Rectifier(maximum=6.0),
        Rectifier(0.2),
        Rectifier(threshold=0.5),
        Rectifier(0.1, maximum=4.0),
    ],
)
def test_rules_by_hand_are_those_of_custom_gradients(rule: str, rectifier: Rectifier) -> None:
    weights = models.two_convolution_weights()
    rectify = rectifier_under(rule, rectifier)
    images = tf.constant(models.SPELLING_IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        x = tf.nn.conv2d(images, weights.kernel_1, 1, "SAME") + weights.bias_1
        x = tf.nn.max_pool2d(rectify(x), 2, 2, "VALID")
        x = rectify(tf.nn.conv2d(x, weights.kernel_2, 1, "SAME") + weights.bias_2)
        logit = tf.reshape(x, (models.BATCH, -1)) @ weights.head_kernel[:, 2:3]
    expected = tape.gradient(logit, images)
    received = guided.image_gradient(images.numpy(), (rectifier, rectifier), 2, rule)
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4)


# Deconvolution.


def deconvolution_stages() -> list[deconvnet.Stage]:
    weights = models.two_convolution_weights()
    return [
        deconvnet.Convolution(weights.kernel_1, weights.bias_1),
        deconvnet.RELU,
        deconvnet.POOL,
        deconvnet.Convolution(weights.kernel_2, weights.bias_2),
        deconvnet.RELU,
    ]


@pytest.mark.parametrize("unit", [None, (1, 0, 1), (4, 2, 2)])
def test_the_reconstruction_is_the_gradient_under_the_deconvolution_rule(
    unit: tuple[int, int, int] | None,
) -> None:
    weights = models.two_convolution_weights()
    rectify = rectifier_under("deconvolution", Rectifier())
    image = models.SPELLING_IMAGES[4]
    activation, _ = deconvnet.forward(image, deconvolution_stages())
    chosen = unit or np.unravel_index(activation.argmax(), activation.shape)
    batch = tf.constant(image[np.newaxis])
    with tf.GradientTape() as tape:
        tape.watch(batch)
        x = tf.nn.conv2d(batch, weights.kernel_1, 1, "SAME") + weights.bias_1
        x = tf.nn.max_pool2d(rectify(x), 2, 2, "VALID")
        x = rectify(tf.nn.conv2d(x, weights.kernel_2, 1, "SAME") + weights.bias_2)
        kept = x[(0, *chosen)]
    expected = tape.gradient(kept, batch)[0] * kept
    received = deconvnet.reconstruct(image, deconvolution_stages(), unit)
    assert activation[tuple(chosen)] > 0
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4)


def test_unpooling_returns_the_maxima_to_their_places() -> None:
    image = np.array([[1.0, 5.0, 2.0, 2.0], [3.0, 0.0, 2.0, 9.0]])[np.newaxis, ..., np.newaxis]
    pooled, switches = convolution.max_pool(image)
    np.testing.assert_array_equal(pooled[0, ..., 0], [[5.0, 9.0]])
    restored = convolution.unpool(pooled, switches)[0, ..., 0]
    np.testing.assert_array_equal(restored, [[0.0, 5.0, 0.0, 0.0], [0.0, 0.0, 0.0, 9.0]])


def test_convolving_back_is_the_adjoint() -> None:
    generator = np.random.default_rng(1)
    image, signal = generator.normal(size=(2, 6, 5, 3)), generator.normal(size=(2, 6, 5, 4))
    kernel = generator.normal(size=(3, 5, 3, 4))
    forward = convolution.convolve(image, kernel, np.zeros(4))
    expected = tf.nn.conv2d(image, kernel, 1, "SAME")
    np.testing.assert_allclose(forward, expected, atol=1e-9)
    back = convolution.convolve_transposed(signal, kernel)
    np.testing.assert_allclose((forward * signal).sum(), (image * back).sum())
