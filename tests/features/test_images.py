"""Parameterizations against slow loops: what weights spell, and which weights spell a picture."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import kerasviz as kv
from kerasviz.errors import InputError
from kerasviz.features.images import colors
from kerasviz.probe.backend import sampling
from tests.reference import pictures as reference

images = kv.images
SIZES = [(7,), (8,), (5, 6), (6, 5), (1, 4), (4, 1), (3, 4, 5), (4, 3, 2)]


def weights_of(image, shape, seed=0):
    """Weights of unit variance under the names and shapes that the image starts from."""
    random = np.random.default_rng(seed)
    start = image.initial_values(shape, np.random.default_rng(1))
    return {name: random.normal(size=a.shape).astype("float32") for name, a in start.items()}


def rendered(image, weights, shape):
    return image.render(tensors(weights), shape).numpy()


def signal(image, weights, shape):
    return image.signal(tensors(weights), shape).numpy()


def tensors(weights):
    return {name: tf.constant(value) for name, value in weights.items()}


@pytest.mark.parametrize("sizes", SIZES)
def test_the_inverse_transform_is_numpys(sizes):
    random = np.random.default_rng(0)
    half = (2, 3, *sizes[:-1], sizes[-1] // 2 + 1)
    real, imaginary = random.normal(size=(2, *half)).astype("float32")
    found = sampling.inverse_fourier(tf.constant(real), tf.constant(imaginary), sizes)
    axes = range(2, 2 + len(sizes))
    expected = np.fft.irfftn(real + 1j * imaginary, s=sizes, axes=axes)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("sizes", SIZES)
def test_the_gradient_of_the_inverse_transform_is_its_transpose(sizes):
    random = np.random.default_rng(0)
    half = (1, 1, *sizes[:-1], sizes[-1] // 2 + 1)
    real, imaginary = (tf.constant(random.normal(size=half), tf.float32) for _ in range(2))
    seed = random.normal(size=(1, 1, *sizes)).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch([real, imaginary])
        found = sampling.inverse_fourier(real, imaginary, sizes)
    gradients = tape.gradient(found, [real, imaginary], output_gradients=tf.constant(seed))
    for gradient, unit in zip(gradients, (1.0, 1j), strict=True):
        for index in np.ndindex(half):
            one = np.zeros(half, complex)
            one[index] = unit
            wave = np.fft.irfftn(one, s=sizes, axes=range(2, 2 + len(sizes)))
            assert gradient.numpy()[index] == pytest.approx((wave * seed).sum(), abs=1e-5)


@pytest.mark.parametrize("sizes", [(7,), (6,), (5, 6), (4, 5), (3, 2, 3), (2, 3, 4)])
@pytest.mark.parametrize("decay_power", [0.0, 1.0, 1.7])
def test_fourier_is_a_sum_of_waves(sizes, decay_power):
    image, shape = images.Fourier(decay_power=decay_power), (2, *sizes, 2)
    weights = weights_of(image, shape)
    last = sizes[-1] // 2 + 1
    for name in ("real", "imaginary"):
        weights[name][..., 0] = _symmetric(weights[name][..., 0], name == "imaginary", len(sizes))
        if sizes[-1] % 2 == 0:
            edge = weights[name][..., last - 1]
            weights[name][..., last - 1] = _symmetric(edge, name == "imaginary", len(sizes))
    expected = reference.fourier(weights["real"], weights["imaginary"], sizes, decay_power)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(signal(image, weights, shape), expected, atol=1e-5 * scale)


def _symmetric(plane, odd, rank):
    """The part of a plane of the spectrum that real pictures have: conjugate to its mirror."""
    mirrored = plane
    for axis in range(2, 1 + rank):
        mirrored = np.roll(np.flip(mirrored, axis), 1, axis)
    return (plane - mirrored) / 2 if odd else (plane + mirrored) / 2


def test_fourier_renders_numpys_formula():
    image, shape = images.Fourier(decay_power=1.3), (2, 9, 8, 3)
    weights = weights_of(image, shape)
    rows, columns = np.fft.fftfreq(9)[:, None], np.fft.rfftfreq(8)[None]
    scale = np.sqrt(72) / np.maximum(np.sqrt(rows**2 + columns**2), 1 / 9) ** 1.3
    spectrum = (weights["real"] + 1j * weights["imaginary"]) * scale
    expected = np.moveaxis(np.fft.irfft2(spectrum, s=(9, 8)), 1, -1) / 4
    expected = reference.sigmoid(reference.coloured(expected))
    np.testing.assert_allclose(rendered(image, weights, shape), expected, atol=1e-5)


def test_the_start_is_noise_of_the_deviation_that_was_asked_for():
    shape = (4, 32, 31, 3)
    random = np.random.default_rng(3)
    for image in (images.Pixels(), images.Fourier(), images.LowResolution(), images.Laplacian()):
        for values in image.initial_values(shape, random).values():
            assert values.dtype == np.float32
            assert abs(values.mean()) < 0.001
            assert values.std() == pytest.approx(0.01, rel=0.15)
    wide = images.Fourier(standard_deviation=0.5).initial_values(shape, random)
    assert wide["imaginary"].std() == pytest.approx(0.5, rel=0.05)
    assert not np.array_equal(wide["real"], wide["imaginary"])


ROUND_TRIPS = [images.Pixels, images.Fourier, images.Laplacian]


@pytest.mark.parametrize("kind", ROUND_TRIPS)
@pytest.mark.parametrize("sizes", [(9,), (8,), (7, 6), (6, 7), (5, 5), (3, 4, 5), (4, 3, 6)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_picture_survives_the_round_trip(kind, sizes, channels):
    given = np.random.default_rng(1).uniform(0.01, 0.99, (2, *sizes, channels)).astype("float32")
    for settings in ({}, {"bounded": False}, {"decorrelate": False}):
        image = kind(**settings)
        found = rendered(image, image.start_values(given), given.shape)
        np.testing.assert_allclose(found, given, atol=2e-5)


def test_black_and_white_are_started_from_as_nearly_so():
    given = np.tile(np.float32([0.0, 1.0]), (1, 2, 2, 1)).reshape(1, 4, 2, 1)
    image = images.Pixels()
    found = rendered(image, image.start_values(given), given.shape)
    np.testing.assert_allclose(found, np.where(given > 0.5, 0.999, 0.001), atol=1e-6)
    unbounded = images.Pixels(bounded=False)
    found = rendered(unbounded, unbounded.start_values(given * 3 - 1), given.shape)
    np.testing.assert_allclose(found, given * 3 - 1, atol=1e-6)


@pytest.mark.parametrize("image", [images.LowResolution(), images.CPPN()])
def test_what_cannot_spell_any_picture_refuses_to_start_from_one(image):
    with pytest.raises(InputError, match=rf"Received: {type(image).__name__}.*Fourier"):
        image.start_values(np.full((1, 4, 4, 3), 0.5, "float32"))


@pytest.mark.parametrize("channels", [3, 4, 5])
def test_colours_are_mixed_pixel_by_pixel(channels):
    given = np.random.default_rng(0).normal(size=(2, 3, 4, channels)).astype("float32")
    expected = reference.coloured(given)
    np.testing.assert_allclose(colors.mixed(tf.constant(given)), expected, atol=1e-6)
    np.testing.assert_allclose(colors.unmixed(expected.astype("float32")), given, atol=1e-4)


@pytest.mark.parametrize(
    ("channels", "settings", "mixes"),
    [
        (3, {}, True),
        (4, {}, True),
        (1, {}, False),
        (2, {}, False),
        (5, {}, False),
        (3, {"decorrelate": False}, False),
        (3, {"bounded": False}, False),
        (3, {"bounded": False, "decorrelate": True}, True),
        (4, {"alpha": True}, True),
        (5, {"alpha": True}, True),
        (3, {"alpha": True}, False),
        (2, {"alpha": True}, False),
    ],
)
def test_where_colours_are_mixed(channels, settings, mixes):
    image, shape = images.Pixels(**settings), (1, 2, 3, channels)
    weights = weights_of(image, shape)
    spelled = weights["pixels"]
    spelled = reference.coloured(spelled) if mixes else spelled
    bounded = settings.get("bounded", True)
    expected = reference.sigmoid(spelled) if bounded else spelled + 0.5
    np.testing.assert_allclose(rendered(image, weights, shape), expected, atol=1e-6)


@pytest.mark.parametrize(("channels", "alpha"), [(1, False), (2, False), (3, True), (5, False)])
def test_mixing_needs_colours(channels, alpha):
    image = images.Pixels(decorrelate=True, alpha=alpha)
    shape = (1, 2, 2, channels)
    with pytest.raises(InputError, match=rf"Received: {channels - alpha} channels"):
        rendered(image, weights_of(image, shape), shape)


def test_an_opacity_needs_limits():
    with pytest.raises(InputError, match="bounded=False"):
        images.Fourier(alpha=True, bounded=False)


@pytest.mark.parametrize("sizes", [(7,), (9, 6), (5, 4, 7)])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_low_resolution_is_linear_interpolation(sizes, factor):
    image, shape = images.LowResolution(factor=factor), (2, *sizes, 2)
    weights = weights_of(image, shape)
    assert weights["coarse"].shape == (2, *(-(-size // factor) for size in sizes), 2)
    expected = reference.enlarged(weights["coarse"], sizes)
    np.testing.assert_allclose(signal(image, weights, shape), expected, atol=1e-5)


def test_low_resolution_is_scipys_zoom_between_the_outermost_centres():
    from scipy import ndimage

    image, shape = images.LowResolution(factor=2), (1, 8, 12, 1)
    weights = weights_of(image, shape)
    at = np.meshgrid(np.arange(8) / 2 - 0.25, np.arange(12) / 2 - 0.25, indexing="ij")
    expected = ndimage.map_coordinates(weights["coarse"][0, ..., 0], at, order=1, mode="nearest")
    np.testing.assert_allclose(signal(image, weights, shape)[0, ..., 0], expected, atol=1e-5)


@pytest.mark.parametrize("sizes", [(11,), (9, 6), (5, 4, 7)])
def test_laplacian_is_the_sum_of_its_levels(sizes):
    image, shape = images.Laplacian(levels=3), (2, *sizes, 1)
    weights = weights_of(image, shape)
    assert sorted(weights) == ["level_0", "level_1", "level_2"]
    expected = sum(reference.enlarged(value, sizes) for value in weights.values())
    np.testing.assert_allclose(signal(image, weights, shape), expected, atol=1e-5)
    assert weights["level_2"].shape[1:-1] == tuple(-(-size // 4) for size in sizes)


@pytest.mark.parametrize("number", [0, -1, 1.5, "2"])
def test_factor_and_levels_count_from_one(number):
    for image in (images.LowResolution(factor=number), images.Laplacian(levels=number)):
        with pytest.raises(InputError, match="whole numbers from 1 on"):
            image.initial_values((1, 4, 4, 3), np.random.default_rng(0))


@pytest.mark.parametrize("sizes", [(7,), (4, 5), (3, 2, 4)])
def test_cppn_is_a_network_of_the_coordinates(sizes):
    image, shape = images.CPPN(layers=3, units=4), (2, *sizes, 3)
    weights = weights_of(image, shape)
    assert weights["kernel_0"].shape == (2, len(sizes), 4)
    assert weights["kernel_out"].shape == (2, 8, 3)
    expected = reference.network(weights, 3, sizes)
    np.testing.assert_allclose(signal(image, weights, shape), expected, atol=1e-4)


def test_cppn_starts_grey_with_kernels_of_unit_gain():
    image, shape = images.CPPN(units=200), (2, 3, 3, 3)
    start = image.initial_values(shape, np.random.default_rng(0))
    np.testing.assert_array_equal(rendered(image, start, shape), 0.5)
    assert start["kernel_0"].std() == pytest.approx(np.sqrt(1 / 2), rel=0.1)
    assert start["kernel_3"].std() == pytest.approx(np.sqrt(1 / 400), rel=0.02)


def test_what_has_no_positions_is_spelled_by_pixels():
    for image in (images.Fourier(alpha=True), images.CPPN(alpha=True)):
        spelled = image.for_positions(0)
        assert type(spelled) is images.Pixels
        assert spelled.alpha
        assert image.for_positions(2) is image
    assert type(images.Fourier().for_positions(4)) is images.Pixels


@pytest.mark.parametrize(
    ("size", "declared", "expected"),
    [
        (None, (16, 12), (16, 12)),
        (None, (None, 12), (128, 12)),
        (24, (None, None), (24, 24)),
        ((24, 20), (None, None), (24, 20)),
        ([24, 20], (None, 20), (24, 20)),
        (np.int64(5), (None,), (5,)),
        (24, (), ()),
    ],
)
def test_sizes(size, declared, expected):
    assert images.Fourier(size=size).sizes(declared) == expected


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (17, r"\(16, any\)\. Received: \(17, 17\)"),
        ((16,), r"\(16, any\)\. Received: \(16,\)"),
        ((16, 0), "Received: "),
        (-1, "Received: "),
        (16.0, "whole number.*16.0"),
        ((16, 2.5), "whole number"),
        ("16", "whole number"),
        (True, "whole number"),
    ],
)
def test_sizes_that_do_not_fit(size, words):
    with pytest.raises(InputError, match=words):
        images.Pixels(size=size).sizes((16, None))
