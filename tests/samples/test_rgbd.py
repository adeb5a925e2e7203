from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kerasviz import samples
from kerasviz.errors import InputError
from kerasviz.samples.tabletop.rays import camera_above, entries, first_hits, is_hidden
from tests.reference.marching import is_inside, march

THINGS = tuple(
    samples.SceneObject(shape, "plain", center, size, angle)
    for shape, center, size, angle in (
        ("box", (-70.0, 60.0), (90.0, 40.0, 60.0), 0.5),
        ("cylinder", (80.0, 50.0), (70.0, 70.0, 110.0), 0.0),
        ("rod", (10.0, -80.0), (150.0, 42.0, 42.0), 2.6),
    )
)
ALL = [True] * len(THINGS)
CAMERA = camera_above(650, (0.05, -0.04), 0.35)
NOTHING_ODD = {"decoys": 0.0, "camouflaged": 0.0, "glossy": 0.0, "noise": 0.0}


@pytest.fixture(scope="module")
def scenes() -> samples.RGBDScenes:
    return samples.rgbd_scenes(40, seed=1)


def test_rays_meet_what_walking_along_them_meets() -> None:
    directions = CAMERA.directions(24)
    hits = first_hits(THINGS, ALL, entries(THINGS, CAMERA, directions), CAMERA, directions)
    assert set(np.unique(hits.owner)) == {-1, 0, 1, 2}
    steps = np.arange(480.0, 700.0, 0.25)
    owner, depth = march(THINGS, CAMERA.position[:, None, None], directions, steps)
    depth = np.minimum(depth, -CAMERA.position[2] / directions[2])
    same = owner == hits.owner
    assert (~same).sum() <= 2  # corners thinner than a step
    np.testing.assert_allclose(hits.depth[same], depth[same], atol=0.26)


def test_normals_point_out_of_things() -> None:
    camera = camera_above(650, (0.5, -0.4), 0.25)
    directions = camera.directions(32)
    hits = first_hits(THINGS, ALL, entries(THINGS, camera, directions), camera, directions)
    np.testing.assert_allclose(np.linalg.norm(hits.normals, axis=0), 1, atol=1e-3)
    around = np.random.default_rng(0).normal(size=(3, 1, 2000))
    for index, thing in enumerate(THINGS):
        inside = hits.owner == index
        points, normals = hits.points[:, inside], hits.normals[:, inside]
        outward = (around * ~is_inside(thing, points[..., None] + around)).mean(axis=-1)
        outward /= np.linalg.norm(outward, axis=0)
        cosine = (outward * normals).sum(axis=0)
        assert np.median(cosine) > 0.98
        assert (cosine > 0.9).mean() > 0.8  # the rest is at edges
        sides = np.abs(normals[2]) < 0.5
        assert sides.sum() > 5
        assert np.median(cosine[sides]) > 0.95


def test_shadows_are_where_a_thing_is_in_the_way() -> None:
    directions, lamp = CAMERA.directions(24), np.array([20.0, 30.0, 75.0])
    hits = first_hits(THINGS, ALL, entries(THINGS, CAMERA, directions), CAMERA, directions)
    hidden = is_hidden(THINGS, ALL, hits, lamp)
    starts = hits.points + 0.5 * hits.normals
    towards = lamp[:, None, None] - starts
    blocked = march(THINGS, starts, towards, np.linspace(0.0, 1.0, 1200))[0] >= 0
    expected = blocked | ((towards * hits.normals).sum(axis=0) < 0)
    assert 0.2 < hidden.mean() < 0.8
    assert (expected != hidden).sum() <= 3


def test_a_box_below_the_camera_has_its_exact_depth_and_outline() -> None:
    box = samples.SceneObject("box", "plain", (0.0, 0.0), (100.0, 50.0, 60.0), 0.0)
    camera = camera_above(700, (0.0, 0.0), 0.3)
    directions = camera.directions(64)
    hits = first_hits([box], [True], entries([box], camera, directions), camera, directions)
    across = ((np.arange(64) + 0.5) / 32 - 1) * 0.3 * (700 - 60)
    top = (np.abs(across) <= 25)[:, None] & (np.abs(across) <= 50)[None]
    np.testing.assert_allclose(hits.depth[top], 640, rtol=1e-6)
    np.testing.assert_allclose(hits.depth[hits.owner == -1], 700, rtol=1e-6)
    assert hits.owner[32, 32] == 0
    assert (hits.depth[~top] > 640.01).all()


def test_arrays_have_the_shapes_and_ranges_they_promise(scenes: samples.RGBDScenes) -> None:
    assert (scenes.rgb.shape, scenes.rgb.dtype) == ((40, 64, 64, 3), np.uint8)
    assert (scenes.depth.shape, scenes.depth.dtype) == ((40, 64, 64), np.float32)
    assert scenes.grip.dtype == np.int32
    assert set(np.unique(scenes.grip)) == {0, 1}
    measured = scenes.depth[scenes.depth > 0]
    assert measured.min() > 400
    assert measured.max() < 800
    assert (scenes.mask <= (scenes.grip == 1)).all()
    length = np.hypot(scenes.horizontal, scenes.vertical)
    np.testing.assert_allclose(length, scenes.mask, atol=1e-6)
    assert scenes.inputs.shape == (40, 64, 64, 4)
    assert scenes.inputs.dtype == np.float32
    np.testing.assert_array_equal(np.rint(255 * scenes.inputs[..., :3]), scenes.rgb)
    assert scenes.inputs[..., :3].max() <= 1
    np.testing.assert_array_equal(scenes.inputs[..., 3], scenes.depth)
    assert len(scenes) == len(scenes.objects) == 40
    assert {len(objects) for objects in scenes.objects} == {2, 3, 4, 5}


def test_seeds_make_scenes_and_nothing_else_does(scenes: samples.RGBDScenes) -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    again = samples.rgbd_scenes(3, seed=1)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    for name in ("rgb", "depth", "grip", "horizontal", "vertical", "mask", "instances"):
        np.testing.assert_array_equal(getattr(again, name), getattr(scenes, name)[:3])
    assert again.objects == scenes.objects[:3]
    assert (samples.rgbd_scenes(1, seed=2).rgb != again.rgb[:1]).mean() > 0.5


def test_labels_of_another_size_tell_the_same() -> None:
    fine = samples.rgbd_scenes(4, size=64, seed=3)
    coarse = samples.rgbd_scenes(4, size=64, seed=3, output_size=32)
    np.testing.assert_array_equal(fine.rgb, coarse.rgb)
    assert coarse.grip.shape == (4, 32, 32)
    share = fine.grip.reshape(4, 32, 2, 32, 2).mean(axis=(2, 4))
    assert coarse.grip[share == 1].mean() > 0.9
    assert coarse.grip[share == 0].mean() < 0.001


def test_decoys_look_like_things_and_have_no_depth() -> None:
    real = samples.rgbd_scenes(6, seed=4, **NOTHING_ODD)
    flat = samples.rgbd_scenes(6, seed=4, **{**NOTHING_ODD, "decoys": 1.0})
    np.testing.assert_array_equal(real.rgb, flat.rgb)
    np.testing.assert_array_equal(real.instances, flat.instances)
    assert not flat.grip.any()
    tables = samples.rgbd_scenes(6, seed=4, **NOTHING_ODD)
    for index, objects in enumerate(tables.objects):
        table = tables.instances[index] < 0
        np.testing.assert_array_equal(flat.depth[index][table], real.depth[index][table])
        higher = flat.depth[index] - real.depth[index]
        assert (higher[~table] > 0).all()
        assert higher.max() > 0.5 * min(thing.size[2] for thing in objects)
        rows, columns = np.indices(table.shape)
        inverse = 1 / flat.depth[index]  # of a plane: linear in the picture
        design = np.stack([rows.ravel(), columns.ravel(), np.ones(table.size)], axis=1)
        fit, *_ = np.linalg.lstsq(design, inverse.ravel(), rcond=None)
        np.testing.assert_allclose(design @ fit, inverse.ravel(), rtol=1e-5)


def test_camouflaged_things_are_in_depth_only() -> None:
    real = samples.rgbd_scenes(6, seed=4, **NOTHING_ODD)
    hidden = samples.rgbd_scenes(6, seed=4, **{**NOTHING_ODD, "camouflaged": 1.0})
    np.testing.assert_array_equal(real.depth, hidden.depth)
    np.testing.assert_array_equal(real.grip, hidden.grip)
    inside = hidden.instances >= 0
    for index in range(6):
        shown, table = hidden.rgb[index].astype(float), ~inside[index]
        spread = shown[table].std(axis=0) + 2
        apart = np.abs(shown[inside[index]].mean(axis=0) - shown[table].mean(axis=0))
        assert (apart < spread).all()
    assert (real.rgb[inside] != hidden.rgb[inside]).mean() > 0.9


def test_the_sensor_sees_nothing_of_glossy_things() -> None:
    shiny = samples.rgbd_scenes(12, seed=5, **{**NOTHING_ODD, "glossy": 1.0})
    real = samples.rgbd_scenes(12, seed=5, **NOTHING_ODD)
    np.testing.assert_array_equal(real.depth > 0, True)
    inside = shiny.instances >= 0
    low = np.stack(
        [
            [[o[i].size[2] < 60 if i >= 0 else False for i in row] for row in instances]
            for o, instances in zip(shiny.objects, shiny.instances, strict=True)
        ]
    )
    assert (shiny.depth[inside & low] == 0).mean() > 0.9
    assert (shiny.depth[~inside] == 0).mean() > 0.05  # also round about them, and on empty spots
    assert shiny.grip.any()


def test_noise_and_steps_of_depth_are_a_kinects() -> None:
    exact = samples.rgbd_scenes(8, seed=6, **NOTHING_ODD)
    noisy = samples.rgbd_scenes(8, seed=6, **{**NOTHING_ODD, "noise": 1.0})
    known = noisy.depth > 0
    holes = 1 - known.mean()
    assert 0.003 < holes < 0.1
    depth, error = exact.depth[known], (noisy.depth - exact.depth)[known]
    expected = 1.2 + 1.9 * (depth / 1000 - 0.4) ** 2
    step = depth**2 / (580 * 75 * 8)
    assert abs(error.mean()) < 0.05
    ratio = error.std() / np.sqrt((expected**2 + step**2 / 12).mean())
    assert 0.97 < ratio < 1.03
    disparity = 580 * 75 * 8 / noisy.depth[known].astype(float)
    np.testing.assert_allclose(disparity, np.rint(disparity), atol=1e-3)


def test_holes_are_left_of_high_things_where_the_projector_does_not_reach() -> None:
    found = samples.rgbd_scenes(20, seed=7, **{**NOTHING_ODD, "noise": 1.0})
    inside = found.instances >= 0
    left = ~inside & np.roll(inside, -1, axis=2)
    right = ~inside & np.roll(inside, 1, axis=2)
    assert (found.depth[left] == 0).mean() > (found.depth[right] == 0).mean() + 0.2


def test_fingers_close_across_the_length_of_what_is_seen() -> None:
    found = samples.rgbd_scenes(30, size=96, seed=8, objects=(1, 3), **NOTHING_ODD)
    errors = []
    for objects, instances, mask, x, y in zip(
        found.objects, found.instances, found.mask, found.horizontal, found.vertical, strict=True
    ):
        for index, thing in enumerate(objects):
            inside = instances == index
            held = mask & inside
            rim = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
            if thing.shape != "rod" or rim.any() or not held.any():
                continue
            rows, columns = np.nonzero(inside)
            spread = np.cov(np.stack([columns, -rows]))
            length = np.linalg.eigh(spread)[1][:, 1]
            angle = np.arctan2(y[held].mean(), x[held].mean()) / 2
            errors.append(abs(np.array([np.cos(angle), np.sin(angle)]) @ length))
            assert held.sum() < 0.5 * inside.sum()
    assert len(errors) > 10
    assert np.median(errors) < np.sin(np.radians(3))
    assert max(errors) < np.sin(np.radians(12))


def test_round_things_have_a_grip_without_an_angle(scenes: samples.RGBDScenes) -> None:
    upright = np.zeros(scenes.mask.shape, bool)
    for index, objects in enumerate(scenes.objects):
        for number, thing in enumerate(objects):
            upright[index] |= (scenes.instances[index] == number) & (thing.shape == "cylinder")
    gripped = scenes.grip == 1
    assert (gripped & upright).any()
    assert not (scenes.mask & upright).any()
    np.testing.assert_array_equal(scenes.mask, gripped & ~upright)


def test_nothing_is_gripped_but_what_stands_there(scenes: samples.RGBDScenes) -> None:
    solid = scenes.kinds("plain", "camouflaged", "glossy")
    assert (scenes.grip <= solid).all()
    assert not (scenes.kinds("decoy") & solid).any()
    np.testing.assert_array_equal(solid | scenes.kinds("decoy"), scenes.instances >= 0)
    for objects in scenes.objects:
        for thing in objects:
            assert thing.size[1] <= 70  # what a gripper's fingers can span
            assert (thing.grip_angle is None) == (thing.shape == "cylinder" or not thing.is_solid)


def test_things_keep_apart_and_kinds_come_in_their_shares() -> None:
    found = samples.rgbd_scenes(200, size=16, seed=9, decoys=0.3, camouflaged=0.2, glossy=0.1)
    kinds = [thing.kind for objects in found.objects for thing in objects]
    shares = {"decoy": 0.3, "camouflaged": 0.2, "glossy": 0.1, "plain": 0.4}
    for kind, share in shares.items():
        assert abs(kinds.count(kind) / len(kinds) - share) < 4 * np.sqrt(share / len(kinds))
    touching = 0
    for objects in found.objects:
        for index, one in enumerate(objects):
            for other in objects[:index]:
                distance = np.hypot(*np.subtract(one.center, other.center))
                touching += distance < one.reach + other.reach
    assert touching == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num": 0}, r"`num` must be a whole number from 1 on\. Received: 0\."),
        ({"size": 8}, r"`size` must be a whole number from 16 on\. Received: 8\."),
        ({"seed": -1}, "`seed` must be"),
        ({"seed": 1.5}, "`seed` must be"),
        ({"output_size": 0}, "`output_size` must be"),
        ({"objects": (0, 3)}, r"`objects` must be .* within 1 to 8\. Received: \(0, 3\)"),
        ({"objects": (4, 3)}, "`objects` must be"),
        ({"objects": 3}, "`objects` must be"),
        ({"decoys": 1.5}, r"`decoys` must be a number from 0 to 1\. Received: 1\.5"),
        ({"glossy": "much"}, "`glossy` must be"),
        ({"noise": -1}, r"`noise` must be a number from 0 on\. Received: -1"),
        ({"noise": float("nan")}, "`noise` must be"),
        ({"decoys": 0.7, "camouflaged": 0.5}, "must sum to at most 1. Received: 1.35"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        samples.rgbd_scenes(**{"num": 1, **settings})
