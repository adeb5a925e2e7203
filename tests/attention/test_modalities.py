from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as kl

import kerasviz as kv
from kerasviz.attention import modal_reading
from kerasviz.errors import AddressError, InputError, MethodError, TargetError
from kerasviz.plots.figures import to_png

GENERATOR = np.random.default_rng(0)
SAMPLES = 7
COLOUR = GENERATOR.uniform(0, 1, (SAMPLES, 4, 5, 3)).astype("float32")
DEPTH = GENERATOR.uniform(0.4, 0.8, (SAMPLES, 4, 5, 1)).astype("float32")
BOTH = np.concatenate([COLOUR, DEPTH], axis=-1)
LAYERS = {"colour": "colour_conv", "depth": "depth_conv"}


def seeded(model: keras.Model) -> keras.Model:
    generator = np.random.default_rng(1)
    model.set_weights([generator.normal(size=w.shape) for w in model.get_weights()])
    return model


def joined(colour: Any, depth: Any, activation: str | None, use_bias: bool) -> Any:
    """One convolution a branch, then one Dense layer on all of both."""
    settings = {"use_bias": use_bias, "activation": activation, "padding": "same"}
    ends = [
        kl.Conv2D(2, 1, name="colour_conv", **settings)(colour),
        kl.Conv2D(3, 3, name="depth_conv", **settings)(depth),
    ]
    flat = [kl.Flatten(name=f"flat_{i}")(end) for i, end in enumerate(ends)]
    return kl.Dense(3, use_bias=use_bias, name="classes")(kl.Concatenate(name="join")(flat))


def two_inputs(activation: str | None = None, use_bias: bool = False) -> keras.Model:
    inputs = {
        "colour": keras.Input((4, 5, 3), name="colour"),
        "depth": keras.Input((4, 5, 1), name="depth"),
    }
    return seeded(keras.Model(inputs, joined(*inputs.values(), activation, use_bias)))


def one_input(activation: str | None = None, use_bias: bool = False) -> keras.Model:
    rgbd = keras.Input((4, 5, 4), name="rgbd")
    return seeded(keras.Model(rgbd, joined(rgbd[..., :3], rgbd[..., 3:], activation, use_bias)))


def by_name() -> dict[str, np.ndarray]:
    return {"depth": DEPTH, "colour": COLOUR}


FORMS = {"two inputs": (two_inputs, by_name()), "one input": (one_input, BOTH)}


def output_of(model: keras.Model, address: str, inputs: Any) -> np.ndarray:
    return kv.activations(model, inputs, [address])[address]


@pytest.mark.parametrize(
    ("form", "replace"),
    [
        ("two inputs", "mean"),
        ("one input", "zeros"),
        ("two inputs", "other"),
        ("one input", "other"),
    ],
)
def test_a_linear_model_has_its_closed_form(form: str, replace: Any) -> None:
    build, inputs = FORMS[form]
    model = build()
    found = kv.attention.modality_attribution(
        model, inputs, LAYERS, target=1, replace=replace, seed=3
    )
    scores = model.predict(inputs, verbose=0)[:, 1]
    weights = model.get_layer("classes").kernel.numpy()[:, 1]
    np.testing.assert_allclose(found.scores, scores, rtol=1e-5)
    order = np.random.default_rng(3).permutation(SAMPLES)
    following = np.empty(SAMPLES, int)
    following[order] = np.roll(order, -1)
    start = 0
    for column, (name, given) in enumerate((("colour", COLOUR), ("depth", DEPTH))):
        end = output_of(model, LAYERS[name], inputs)
        own = weights[start : start + end[0].size].reshape(end.shape[1:])
        start += end[0].size
        products = (end * own).reshape(SAMPLES, -1)
        np.testing.assert_allclose(
            found.layer_contributions[:, column], products.sum(axis=1), rtol=1e-3, atol=1e-4
        )
        sizes = np.abs(end * own).sum(axis=-1)
        np.testing.assert_allclose(found.size_maps[name], sizes, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.layer_sizes[:, column], sizes.sum(axis=(1, 2)), rtol=1e-4)
        instead = {
            "mean": np.broadcast_to(given.mean(axis=0), given.shape),
            "zeros": np.zeros_like(given),
            "other": given[following],
        }[replace]
        other = {"colour": COLOUR, "depth": DEPTH} | {name: instead}
        changed = other if form == "two inputs" else np.concatenate([*other.values()], axis=-1)
        losses = scores - model.predict(changed, verbose=0)[:, 1]
        np.testing.assert_allclose(found.losses[:, column], losses, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(found.input_contributions[:, column], losses, atol=1e-3)
        np.testing.assert_array_equal(found.inputs[name], given)
        gradient = input_gradient(model, own, name)
        np.testing.assert_allclose(
            found.input_sizes[:, column],
            np.abs((given - instead) * gradient).sum(axis=(1, 2, 3)),
            rtol=1e-3,
        )
    np.testing.assert_allclose(found.layer_contributions.sum(axis=1), scores, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.layer_shares.sum(axis=1), 1)
    sizes = found.input_sizes
    np.testing.assert_allclose(found.input_shares, sizes / sizes.sum(axis=1, keepdims=True))
    assert (following != np.arange(SAMPLES)).all()


def input_gradient(model: keras.Model, weights: np.ndarray, name: str) -> np.ndarray:
    """∂score/∂input of a branch, by the convolution written out."""
    kernel = model.get_layer(f"{name}_conv").kernel.numpy()
    reach = kernel.shape[0] // 2
    padded = np.pad(weights, [(reach, reach), (reach, reach), (0, 0)])
    found = np.zeros((4, 5, kernel.shape[2]))
    for row, column in np.ndindex(4, 5):
        for y, x in np.ndindex(*kernel.shape[:2]):
            at = padded[row + 2 * reach - y, column + 2 * reach - x]
            found[row, column] += kernel[y, x] @ at
    return found


@pytest.mark.parametrize("form", FORMS)
def test_the_last_layer_of_each_branch_is_found(form: str) -> None:
    build, inputs = FORMS[form]
    found = kv.attention.modality_attribution(build("relu", True), inputs)
    assert found.layers == LAYERS
    assert found.modalities == ("colour", "depth")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "mixed_bfloat16", "float64"])
def test_branches_are_found_in_any_precision(dtype: str) -> None:
    with_dtype = keras.Input((4, 5, 4), name="rgbd")
    settings = {"padding": "same", "dtype": dtype}
    ends = [
        kl.Conv2D(2, 1, name="colour_conv", **settings)(with_dtype[..., :3]),
        kl.Conv2D(3, 3, name="depth_conv", **settings)(with_dtype[..., 3:]),
    ]
    flat = kl.Flatten(dtype=dtype)(kl.Concatenate(dtype=dtype)(ends))
    model = seeded(keras.Model(with_dtype, kl.Dense(3, dtype=dtype)(flat)))
    found = kv.attention.modality_attribution(model, BOTH, target=0)
    assert found.layers == LAYERS


def test_branches_of_a_single_sample() -> None:
    found = kv.attention.modality_attribution(
        one_input("relu", True), BOTH[:1], target=0, replace="zeros"
    )
    assert found.layers == LAYERS


def test_branches_are_sought_one_sample_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All activations of many samples of a large network would fill the memory."""
    sizes = []

    class Counting(modal_reading.Activations):
        def __call__(self, inputs: Any, **kwargs: Any) -> Any:
            sizes.append(len(inputs))
            return super().__call__(inputs, **kwargs)

    monkeypatch.setattr(modal_reading, "Activations", Counting)
    kv.attention.modality_attribution(one_input(), BOTH, target=0)
    assert set(sizes) == {1}


def test_layers_that_the_score_does_not_need_are_passed_over() -> None:
    rgbd = keras.Input((4, 5, 4))
    colour = kl.Conv2D(2, 1, name="colour_conv")(rgbd[..., :3])
    depth = kl.Conv2D(2, 1, name="depth_conv")(rgbd[..., 3:])
    scores = kl.Dense(2, name="classes")(kl.GlobalAveragePooling2D()(colour + depth))
    aside = kl.Conv2D(1, 1, name="aside")(depth)
    model = seeded(keras.Model(rgbd, {"scores": scores, "aside": aside}))
    found = kv.attention.modality_attribution(model, BOTH, target={"scores": 0})
    assert found.layers == LAYERS
    with pytest.raises(MethodError, match=r"`layers` must be ones .*'aside' for 'depth'"):
        kv.attention.modality_attribution(
            model, BOTH, LAYERS | {"depth": "aside"}, target={"scores": 0}
        )


def test_a_model_that_mixes_at_once_has_no_branches() -> None:
    model = seeded(
        keras.Sequential([keras.Input((4, 5, 4)), kl.Conv2D(2, 1), kl.GlobalMaxPooling2D()])
    )
    found = kv.attention.modality_attribution(model, BOTH, target=0)
    assert found.layers == {}
    assert found.maps == {}
    assert found.layer_shares is None
    assert found.layer_contributions is None
    assert np.isnan(found.summary()["layer_share"]).all()
    assert found.summary()["layer"].isna().all()
    assert to_png(found.plot())


@pytest.mark.parametrize("form", FORMS)
def test_maps_are_grad_cam_in_units_of_the_score(form: str) -> None:
    build, inputs = FORMS[form]
    model = build("relu", True)
    dense = model.get_layer("classes")
    split = 4 * 5 * 2
    lean = np.where(np.arange(int(dense.kernel.shape[0])) < split, 0.5, -0.5)  # one speaks for it
    dense.kernel.assign(dense.kernel + lean[:, None].astype("float32"))
    found = kv.attention.modality_attribution(model, inputs, target=2)
    weights = dense.kernel.numpy()[:, 2]
    signs = {}
    for name, part in (("colour", weights[:split]), ("depth", weights[split:])):
        end = output_of(model, LAYERS[name], inputs)
        mean = part.reshape(20, -1).mean(axis=0)
        expected = np.maximum(end @ mean, 0)
        signs[name] = np.sign((end @ mean).sum())
        np.testing.assert_allclose(found.maps[name], expected, rtol=1e-4, atol=1e-5)
        cam = kv.GradCAM(model, LAYERS[name], target=2, resolution="layer", normalize=False)
        maps = cam(inputs)
        maps = maps[name] if isinstance(maps, dict) else maps
        np.testing.assert_allclose(found.maps[name], maps, rtol=1e-4, atol=1e-5)
    assert signs == {"colour": 1, "depth": -1}


def test_the_predicted_class_stays_when_a_modality_goes() -> None:
    model, strong = one_input("relu", True), BOTH * np.array([1, 1, 1, 9], "float32")
    logits = model.predict(strong, verbose=0)
    predicted = logits.argmax(axis=1)
    without = model.predict(BOTH * np.array([1, 1, 1, 0], "float32"), verbose=0)
    assert (without.argmax(axis=1) != predicted).any()
    found = kv.attention.modality_attribution(model, strong, replace="zeros")
    rows = np.arange(SAMPLES)
    expected = logits[rows, predicted] - without[rows, predicted]
    np.testing.assert_allclose(found.losses[:, 1], expected, rtol=1e-4, atol=1e-4)
    assert found.targets == tuple(f"unit {i}" for i in predicted)


def test_batches_do_not_matter_and_masks_go_with_their_samples() -> None:
    rgbd = keras.Input((8, 8, 4))
    colour = kl.Conv2D(3, 3, activation="relu", padding="same", name="c")(rgbd[..., :3])
    depth = kl.Conv2D(3, 3, activation="relu", padding="same", name="d")(rgbd[..., 3:])
    both = kl.Concatenate()([colour, depth])
    model = seeded(keras.Model(rgbd, kl.Conv2D(2, 1, activation="softmax")(both)))
    inputs = GENERATOR.normal(size=(5, 8, 8, 4)).astype("float32")
    masks = GENERATOR.random((5, 8, 8)) > 0.6
    one, other = (
        kv.attention.modality_attribution(
            model, inputs, target=kv.targets.Mask(masks, 1), batch_size=size, replace="other"
        )
        for size in (2, 32)
    )
    assert one.layers == {"colour": "c", "depth": "d"}
    for name in ("scores", "losses", "layer_sizes", "input_sizes", "input_contributions"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(one.maps["depth"], other.maps["depth"], rtol=1e-4, atol=1e-5)
    head = model.layers[-1]
    features = np.concatenate([output_of(model, name, inputs) for name in "cd"], axis=-1)
    logits = features @ head.kernel.numpy()[0, 0, :, 1] + head.bias.numpy()[1]
    expected = [values[mask].mean() for values, mask in zip(logits, masks, strict=True)]
    np.testing.assert_allclose(one.scores, expected, rtol=1e-4, atol=1e-5)
    shared = kv.attention.modality_attribution(
        model, inputs, target=kv.targets.Mask(masks[0], 1), batch_size=2
    )
    np.testing.assert_allclose(shared.scores[0], one.scores[0], rtol=1e-5)


def test_channels_first() -> None:
    rgbd = keras.Input((4, 6, 5))
    colour = kl.Conv2D(2, 1, data_format="channels_first", name="c")(rgbd[:, :3])
    depth = kl.Conv2D(2, 1, data_format="channels_first", name="d")(rgbd[:, 3:])
    pooled = kl.GlobalAveragePooling2D(data_format="channels_first")(colour + depth)
    model = seeded(keras.Model(rgbd, kl.Dense(2)(pooled)))
    inputs = GENERATOR.normal(size=(3, 4, 6, 5)).astype("float32")
    found = kv.attention.modality_attribution(model, inputs, target=0, replace="zeros")
    assert found.inputs["colour"].shape == (3, 6, 5, 3)
    np.testing.assert_allclose(found.input_contributions, found.losses, atol=1e-5)
    assert found.maps["depth"].shape == (3, 6, 5)


def test_other_modalities_than_colour_and_depth() -> None:
    left, right = keras.Input((6,), name="left"), keras.Input((4,), dtype="int32", name="words")
    words = kl.Flatten()(kl.Embedding(10, 2, name="embedding")(right))
    ends = [kl.Dense(3, name="left_dense")(left), kl.Dense(3, name="word_dense")(words)]
    model = seeded(keras.Model([left, right], kl.Dense(2)(kl.Add()(ends))))
    inputs = [
        GENERATOR.normal(size=(5, 6)).astype("float32"),
        GENERATOR.integers(0, 10, (5, 4)),
    ]
    found = kv.attention.modality_attribution(model, inputs, target=0, replace="other")
    assert found.modalities == ("left", "words")
    assert found.layers == {"left": "left_dense", "words": "embedding"}
    assert found.input_sizes is None  # whole numbers have no gradient
    assert set(found.maps) == {"words"}
    assert found.maps["words"].shape == (5, 4)
    split = kv.attention.modality_attribution(
        model,
        inputs,
        channels={"a": ("left", [0, 1]), "b": ("left", [2, 5])},
        replace="zeros",
        target=0,
    )
    kernel = model.get_layer("left_dense").kernel.numpy() @ model.layers[-1].kernel.numpy()[:, 0]
    products = inputs[0] * kernel
    np.testing.assert_allclose(split.losses[:, 0], products[:, :2].sum(axis=1), atol=1e-5)
    np.testing.assert_allclose(split.losses[:, 1], products[:, [2, 5]].sum(axis=1), atol=1e-5)
    assert split.layers == {}
    with pytest.raises(InputError, match="whole numbers, which have no mean"):
        kv.attention.modality_attribution(model, inputs, target=0)


def test_the_grasp_network_is_read_without_being_told_how() -> None:
    network = kv.attention.rgbd_grasp_network(
        (16, 16, 4),
        filters=(4,),
        blocks=(1,),
        dilation_rates=(1,),
        decoder_filters=(4, 4),
        head_filters=4,
    )
    weights = [weight.copy() for weight in network.get_weights()]
    scenes = kv.samples.rgbd_scenes(3, size=16)
    found = kv.attention.modality_attribution(network, scenes.inputs, target={"grip": 1})
    assert found.layers["colour"].startswith("rgb_")
    assert found.layers["depth"].startswith("depth_")
    assert found.losses.shape == (3, 2)
    for before, after in zip(weights, network.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    table = found.summary()
    assert list(table.index) == ["colour", "depth"]
    np.testing.assert_allclose(table["layer_share"].sum(), 1)
    np.testing.assert_allclose(table["loss_std"], found.losses.std(axis=0), rtol=1e-5)
    assert repr(found) == "ModalityAttribution(['colour', 'depth'], 3 samples)"
    assert to_png(found.plot())
    with pytest.raises(InputError, match="`max_samples` must be"):
        found.plot(max_samples=0)


def test_samples_without_attribution_do_not_count_in_shares() -> None:
    model = one_input("relu")
    inputs = BOTH.copy()
    inputs[2] = 0
    found = kv.attention.modality_attribution(model, inputs, target=0, replace="zeros")
    assert np.isnan(found.layer_shares[2]).all()
    rest = np.delete(found.layer_shares, 2, axis=0)
    np.testing.assert_allclose(found.summary()["layer_share"], rest.mean(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(found.losses[2], 0)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"replace": "noise"}, InputError, r"`replace` must be one of .*Received: 'noise'"),
        ({"channels": {"all": [0, 1]}}, InputError, "two modalities or more"),
        ({"channels": {0: [0], "0": [1]}}, InputError, "a name of its own"),
        ({"channels": {"a": [0], "b": [0, 1]}}, InputError, "each channel to one modality"),
        ({"channels": {"a": [0], "b": "rgbd"}}, InputError, "each channel to one modality"),
        ({"channels": {"a": [0], "b": [4]}}, InputError, r"from 0 to 3 .*Received: \[4\] for 'b'"),
        ({"channels": {"a": [0], "b": [-1]}}, InputError, "different channel numbers"),
        ({"channels": {"a": [0.5], "b": [1]}}, InputError, "different channel numbers"),
        ({"channels": {"a": [0], "b": "depht"}}, InputError, r"one of the inputs \['rgbd'\]"),
        ({"layers": {"colour": "colour_conv"}}, InputError, "`layers` must be a dict"),
        ({"layers": {"colour": "colour_conv", "depth": "nothing"}}, AddressError, "nothing"),
        ({"batch_size": 0}, InputError, "`batch_size` must be"),
        ({"seed": -1}, InputError, "`seed` must be"),
        ({"target": 9}, TargetError, "from 0 to 2"),
        (
            {"target": kv.targets.Class() - kv.targets.Class(1)},
            TargetError,
            "must name its classes in a sum",
        ),
        ({"inputs": BOTH[:1]}, InputError, "two samples or more"),
        ({"inputs": BOTH[..., :3]}, InputError, "shape"),
    ],
    ids=str,
)
def test_what_cannot_be_answered_is_refused(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        kv.attention.modality_attribution(one_input(), **{"inputs": BOTH, **settings})


def test_channels_of_unknown_meaning_and_broken_weights_are_refused() -> None:
    model = seeded(keras.Sequential([keras.Input((4, 5, 6)), kl.Flatten(), kl.Dense(1)]))
    with pytest.raises(InputError, match=r"`channels` must say .* for 6 channels"):
        kv.attention.modality_attribution(model, np.ones((2, 4, 5, 6), "float32"))
    broken = one_input()
    broken.set_weights([weight * np.nan for weight in broken.get_weights()])
    with pytest.raises(MethodError, match="Expected finite scores"):
        kv.attention.modality_attribution(broken, BOTH, target=0)
