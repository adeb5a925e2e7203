"""Transforms against pixel loops and scipy: what moves where, how often, and from which seed."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras_vis.activation_maximization.input_modifiers as tf_keras_vis
from scipy import ndimage

import kerasviz as kv
from kerasviz.errors import InputError
from kerasviz.probe.backend.sampling import Draws, warp
from tests.reference.warping import warped

transforms = kv.transforms
SHAPES = [(9,), (5, 6), (3, 4, 3)]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def affine_matrix(rank, seed=0):
    random = np.random.default_rng(seed)
    matrix = np.eye(rank + 1)
    matrix[:rank, :rank] += random.normal(size=(rank, rank)) * 0.4
    matrix[:rank, rank] = random.normal(size=rank) * 1.5
    return matrix.astype("float32")


def applied(given, pictures, seed=0, step=0):
    chosen = transforms.to_transforms(given, pictures.ndim - 2)
    return transforms.apply(chosen, tf.constant(pictures), Draws(seed, step)).numpy()


def matrices(transform, sizes, count, seed=0):
    """The matrices of `count` steps, (count, rank + 1, rank + 1)."""

    @tf.function(input_signature=[tf.TensorSpec((), tf.int32)])
    def drawn(step):
        return transform.matrix(Draws(seed, step), sizes)

    return np.stack([drawn(tf.constant(step)).numpy() for step in range(count)])


@pytest.mark.parametrize("sizes", SHAPES)
@pytest.mark.parametrize("fill", [None, 0.0, 0.5])
def test_warp_is_the_loop_over_pixels(sizes, fill):
    pictures = noise(2, *sizes, 3)
    for seed in range(2):
        matrix = affine_matrix(len(sizes), seed)
        found = warp(tf.constant(pictures), tf.constant(matrix), fill).numpy()
        expected = np.stack([warped(picture, matrix, fill) for picture in pictures])
        np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("sizes", SHAPES)
@pytest.mark.parametrize(("fill", "mode"), [(None, "nearest"), (0.3, "grid-constant")])
def test_warp_is_scipys_affine_transform(sizes, fill, mode):
    picture, matrix = noise(1, *sizes, 1), affine_matrix(len(sizes), 4)
    found = warp(tf.constant(picture), tf.constant(matrix), fill).numpy()[0, ..., 0]
    centre = (np.array(sizes) - 1) / 2
    offset = centre + matrix[:-1, -1] - matrix[:-1, :-1] @ centre
    expected = ndimage.affine_transform(
        picture[0, ..., 0], matrix[:-1, :-1], offset, order=1, mode=mode, cval=fill or 0.0
    )
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("sizes", [(7,), (4, 5), (2, 2, 3)])
@pytest.mark.parametrize("fill", [None, 0.5])
def test_the_gradient_of_warp_is_exact(sizes, fill):
    pictures, matrix = noise(1, *sizes, 1), affine_matrix(len(sizes), 2)
    upstream = np.random.default_rng(1).normal(size=pictures.shape)
    with tf.GradientTape() as tape:
        given = tf.constant(pictures)
        tape.watch(given)
        value = tf.reduce_sum(warp(given, tf.constant(matrix), fill) * upstream.astype("float32"))
    gradient = tape.gradient(value, given).numpy()[0]
    nothing = warped(np.zeros(pictures.shape[1:]), matrix, fill)
    for pixel in np.ndindex(sizes):
        one = np.zeros(pictures.shape[1:])
        one[pixel] = 1.0
        change = warped(one, matrix, fill) - nothing
        assert gradient[pixel][0] == pytest.approx((change * upstream[0]).sum(), abs=1e-5)


@pytest.mark.parametrize("sizes", [(12,), (8, 9), (5, 6, 4)])
def test_jitter_moves_whole_pixels_and_nothing_else(sizes):
    pictures = noise(2, *sizes, 3)
    drawn = matrices(transforms.jitter(5), sizes, 6)[:, :-1, -1]
    assert len({tuple(shifts) for shifts in drawn}) > 2
    for step, shifts in enumerate(drawn):
        found = applied(transforms.jitter(5), pictures, step=step)
        index = np.meshgrid(
            *[np.clip(np.arange(n) + int(s), 0, n - 1) for n, s in zip(sizes, shifts, strict=True)],
            indexing="ij",
        )
        np.testing.assert_array_equal(found, pictures[(slice(None), *index)])


def test_jitter_draws_each_shift_alike():
    found = matrices(transforms.jitter(4), (9, 9), 1000)
    np.testing.assert_array_equal(found[:, :2, :2], np.broadcast_to(np.eye(2), (1000, 2, 2)))
    for axis in (0, 1):
        values, counts = np.unique(found[:, axis, 2], return_counts=True)
        assert values.tolist() == [-2, -1, 0, 1, 2]
        assert (np.abs(counts - 200) < 60).all()
    assert abs(np.corrcoef(found[:, 0, 2], found[:, 1, 2])[0, 1]) < 0.15
    odd = matrices(transforms.jitter(3), (9,), 200)[:, 0, 1]
    assert sorted(set(odd)) == [-1, 0, 1]
    assert not matrices(transforms.jitter(0), (9,), 5)[:, 0, 1].any()


def test_scale_and_rotate_draw_each_choice_alike():
    factors = [0.5, 1.0, 2.0]
    found = matrices(transforms.scale(factors), (8, 8), 900)
    values, counts = np.unique(found[:, 0, 0], return_counts=True)
    np.testing.assert_allclose(values, [0.5, 1.0, 2.0])
    assert (np.abs(counts - 300) < 70).all()
    np.testing.assert_array_equal(found[:, 0, 0], found[:, 1, 1])
    assert not found[:, :2, 2].any()
    angles = np.degrees(
        np.arcsin(matrices(transforms.rotate([-10, 0, 0, 30]), (8, 8), 800)[:, 1, 0])
    )
    values, counts = np.unique(np.round(angles, 3), return_counts=True)
    assert values.tolist() == [-10, 0, 30]
    assert (np.abs(counts - [200, 400, 200]) < 70).all()


def test_draws_are_uniform_and_normal():
    draws = Draws(5, 3)
    uniform = draws.uniform(2.0, 4.0, (5000,)).numpy()
    assert 2 <= uniform.min() < 2.01
    assert 3.99 < uniform.max() < 4
    assert uniform.mean() == pytest.approx(3, abs=0.05)
    normal = draws.normal((5000,)).numpy()
    assert normal.mean() == pytest.approx(0, abs=0.06)
    assert normal.std() == pytest.approx(1, abs=0.06)


def test_draws_depend_on_seed_step_and_order_only():
    def drawn(seed, step, count=3):
        draws = Draws(seed, step)
        return [float(draws.uniform(0.0, 1.0)) for _ in range(count)]

    assert drawn(3, 7) == drawn(3, 7)
    compiled = tf.function(lambda step: Draws(3, step).uniform(0.0, 1.0))
    assert float(compiled(tf.constant(7))) == drawn(3, 7)[0]
    found = [
        x for seed in (0, 1, 7919, 2**31 - 1) for step in (0, 1, 7919) for x in drawn(seed, step)
    ]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("seed", [0, 2**31 - 1])
def test_every_seed_can_be_compiled(seed):
    step = tf.Variable(0)
    compiled = tf.function(lambda: [Draws(seed, step).integer(-5, 5) for _ in range(3)])
    assert all(abs(float(value)) <= 5 for value in compiled())


def test_the_same_step_gives_the_same_picture_and_another_one_another():
    pictures = noise(2, 24, 24, 3)
    one = applied(None, pictures, seed=1, step=5)
    np.testing.assert_array_equal(one, applied(None, pictures, seed=1, step=5))
    for seed, step in ((1, 6), (2, 5)):
        assert np.abs(one - applied(None, pictures, seed=seed, step=step)).mean() > 0.01


def test_all_pictures_get_the_same_draw():
    pictures = np.repeat(noise(1, 16, 16, 3), 3, axis=0)
    found = applied(transforms.standard, pictures)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_scale_enlarges_above_one():
    picture = np.zeros((1, 9, 9, 1), "float32")
    picture[0, 3:6, 3:6] = 1.0
    assert applied(transforms.scale([2.0]), picture).sum() > 30
    assert applied(transforms.scale([0.5]), picture).sum() < 4
    enlarged = applied(transforms.scale([2.0]), noise(1, 9, 9, 1))
    np.testing.assert_allclose(enlarged[:, ::2, ::2], noise(1, 9, 9, 1)[:, 2:7, 2:7], atol=1e-6)


def test_rotate_turns_clockwise():
    picture = noise(1, 7, 7, 2)
    found = applied(transforms.rotate([90]), picture)
    np.testing.assert_allclose(found, np.rot90(picture, -1, (1, 2)), atol=1e-5)
    found = applied(transforms.rotate([30]), picture)
    expected = ndimage.rotate(picture, -30, (2, 1), reshape=False, order=1, mode="nearest")
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_flip_mirrors_one_axis(axis):
    picture = noise(1, 5, 6, 2)
    at = range(1, 3)[axis]
    found = applied(transforms.flip(axis, probability=1.0), picture)
    np.testing.assert_allclose(found, np.flip(picture, at), atol=1e-6)
    np.testing.assert_array_equal(applied(transforms.flip(axis, 0.0), picture), picture)


def test_flip_is_drawn_as_often_as_asked():
    found = matrices(transforms.flip(0, 0.25), (4, 4), 1000)
    assert (found[:, 0, 0] == -1).mean() == pytest.approx(0.25, abs=0.05)
    assert (found[:, 1, 1] == 1).all()


def test_crop_shows_a_window_inside_the_picture():
    ramp = np.stack(np.meshgrid(np.arange(12.0), np.arange(20.0), indexing="ij"), -1)
    ramp = ramp[None].astype("float32")
    seen = []
    for step in range(40):
        found = applied(transforms.crop(0.5), ramp, step=step)[0]
        np.testing.assert_allclose(np.diff(found[2:-2, 5, 0]), 0.5, atol=1e-4)
        np.testing.assert_allclose(np.diff(found[5, 2:-2, 1]), 0.5, atol=1e-4)
        seen.append(found.mean((0, 1)))
    seen = np.array(seen)
    np.testing.assert_allclose(seen.min(0), [2.75, 4.75], atol=0.9)
    np.testing.assert_allclose(seen.max(0), [8.25, 14.25], atol=0.9)
    np.testing.assert_allclose(applied(transforms.crop(1), ramp), ramp, atol=1e-5)


def test_transforms_are_applied_in_order_with_one_resampling():
    picture = noise(1, 11, 11, 1)
    chain = [transforms.flip(1, 1.0), transforms.rotate([90])]
    expected = np.rot90(np.flip(picture, 2), -1, (1, 2))
    np.testing.assert_allclose(applied(chain, picture), expected, atol=1e-5)
    there_and_back = [transforms.rotate([37]), transforms.rotate([-37])]
    np.testing.assert_allclose(applied(there_and_back, picture), picture, atol=1e-5)
    nested = transforms.compose(chain[0], [chain[1], (chain[0],)])
    assert nested == [chain[0], chain[1], chain[0]]
    np.testing.assert_array_equal(
        applied([chain[0], [chain[1], chain[0]]], picture), applied(nested, picture)
    )


def test_what_comes_into_view_is_the_border():
    picture = noise(1, 8, 8, 1)
    small = transforms.scale([0.5])
    assert (applied([transforms.pad(4, 0.25), small], picture)[0, 0] == 0.25).all()
    assert (applied([transforms.pad(4), small], picture)[0, 0] == 0.5).all()
    np.testing.assert_allclose(applied(small, picture)[0, 0, 0], picture[0, 0, 0], atol=1e-6)
    kept = applied([transforms.pad(4, None), small], picture)
    np.testing.assert_array_equal(kept, applied(small, picture))
    np.testing.assert_array_equal(applied(transforms.pad(3), picture), picture)


def test_functions_stand_among_the_transforms():
    picture = noise(1, 6, 6, 1)
    seen = []

    def halved(pictures):
        seen.append(pictures.shape)
        return pictures * 0.5

    chain = [transforms.flip(0, 1.0), halved, transforms.flip(1, 1.0)]
    np.testing.assert_allclose(applied(chain, picture), picture[:, ::-1, ::-1] * 0.5, atol=1e-6)
    assert seen == [(1, 6, 6, 1)]

    def cut(pictures):
        return pictures[:, 1:]

    with pytest.raises(InputError, match=r"keep the shape \(1, 6, 6, 1\).*'cut' returned \(1, 5"):
        applied(cut, picture)
    with pytest.raises(InputError, match="keep the shape"):
        applied(lambda pictures: None, picture)


def test_the_standard_set_fits_the_positions():
    described = [repr(one) for one in transforms.to_transforms(None, 2)]
    assert described == [
        "pad(12, 0.5)",
        "jitter(8)",
        "scale(0.9 to 1.1)",
        "rotate(-10 to 10)",
        "jitter(4)",
    ]
    assert [repr(one) for one in transforms.to_transforms(None, 3)] == [
        *described[:3],
        described[4],
    ]
    assert transforms.to_transforms(None, 0) == []
    assert applied(None, noise(1, 20, 2)).shape == (1, 20, 2)


def test_what_has_no_positions_is_not_moved():
    vector = noise(2, 6)
    chain = [transforms.jitter(8), lambda x: x + 1, transforms.scale([2.0])]
    np.testing.assert_array_equal(applied(chain, vector), vector + 1)


def test_modifiers_of_tf_keras_vis():
    jitter, turned, scaled = transforms.to_transforms(
        [
            tf_keras_vis.Jitter(jitter=3),
            tf_keras_vis.Rotate2D(degree=20.0),
            tf_keras_vis.Scale(low=0.5, high=1.5),
        ],
        2,
    )
    shifts = matrices(jitter, (9, 9), 300)[:, 0, 2]
    assert sorted(set(shifts)) == [-3, -2, -1, 0, 1, 2, 3]
    angles = np.degrees(np.arcsin(matrices(turned, (9, 9), 300)[:, 1, 0]))
    assert -20.01 < angles.min() < -18
    assert 18 < angles.max() < 20.01
    assert len(set(np.round(angles, 2))) > 50
    factors = 1 / matrices(scaled, (9, 9), 300)[:, 0, 0]
    assert 0.499 < factors.min() < 0.55
    assert 1.45 < factors.max() < 1.501


class Mine(tf_keras_vis.InputModifier):
    """A modifier that a user wrote."""

    def __call__(self, seed_input):
        """Invert."""
        return 1.0 - seed_input


def test_modifiers_that_a_user_wrote_are_called():
    picture = noise(1, 4, 4, 1)
    np.testing.assert_allclose(applied(Mine(), picture), 1 - picture, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: transforms.jitter(-1), "`pixels`"),
        (lambda: transforms.jitter(1.5), "`pixels`"),
        (lambda: transforms.jitter(True), "`pixels`"),
        (lambda: transforms.pad("a"), "`width`"),
        (lambda: transforms.pad(2, "grey"), "`value`"),
        (lambda: transforms.scale([]), "`factors`"),
        (lambda: transforms.scale([1.0, 0.0]), "`factors` must be above 0"),
        (lambda: transforms.scale([1.0, float("nan")]), "`factors`"),
        (lambda: transforms.scale("big"), "`factors`"),
        (lambda: transforms.rotate([[1, 2]]), "`degrees`"),
        (lambda: transforms.rotate(["a"]), "`degrees`"),
        (lambda: transforms.crop(0), "`share`"),
        (lambda: transforms.crop(1.1), "`share`"),
        (lambda: transforms.crop("half"), "`share`"),
        (lambda: transforms.flip(probability=1.5), "`probability`"),
        (lambda: transforms.flip("left"), "`axis`"),
        (lambda: applied(transforms.jitter, noise(1, 5, 5, 1)), "`pixels` must be"),
        (lambda: transforms.to_transforms("jitter", 2), "`transforms` must be"),
        (lambda: transforms.to_transforms([3], 2), "`transforms` must be"),
        (lambda: transforms.to_transforms(tf_keras_vis.Jitter, 2), "Call it with its settings"),
        (lambda: transforms.to_transforms(tf_keras_vis.Rotate(axes=(0, 1)), 2), "Received: Rotate"),
        (lambda: applied(transforms.rotate([3]), noise(1, 5, 1)), "Received: 1 position"),
        (lambda: applied(transforms.flip(2), noise(1, 5, 5, 1)), "Received: 2"),
    ],
)
def test_what_cannot_be(make, words):
    with pytest.raises(InputError, match=words):
        make()
