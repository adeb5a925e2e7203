"""The viewport study against models whose answers and features are known in closed form."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops as keras_ops

from kerasviz import studies
from kerasviz.errors import InputError, MethodError, TargetError

SIDE = 16
FRAME = (24, 32)


class Centroid(layers.Layer):
    """Mean x and y of how much pixels differ from grey, and the root of how much there is."""

    def call(self, x):
        weights = keras_ops.abs(keras_ops.mean(x, axis=-1) - 0.5)
        total = keras_ops.sum(weights, axis=(1, 2)) + 1e-6
        down = keras_ops.arange(FRAME[0], dtype="float32")[None, :, None]
        across = keras_ops.arange(FRAME[1], dtype="float32")[None, None]
        found = [keras_ops.sum(weights * axis, axis=(1, 2)) / total for axis in (across, down)]
        return keras_ops.stack([*found, keras_ops.log(total)], axis=-1)


class Same(layers.Layer):
    """A map that does not depend on the picture."""

    def call(self, x):
        return keras_ops.ones_like(x)


class Bright(layers.Layer):
    """Class 1 for a frame with more than so many bright pixels, 2 for dark ones, else 0."""

    def call(self, x):
        counts = [
            keras_ops.sum(keras_ops.cast(part, "float32"), axis=(1, 2, 3))
            for part in (x > 0.75, x < 0.25)
        ]
        none = keras_ops.full_like(counts[0], 40.0)
        return keras_ops.stack([none, *counts], axis=-1)


@pytest.fixture(scope="module")
def model():
    picture = keras.Input((*FRAME, 1), name="picture")
    centroid = Centroid(name="centroid")(picture)
    same = layers.GlobalAveragePooling2D(name="nothing")(Same(name="same")(picture))
    scores = Bright(name="bright")(picture)
    zero = layers.Lambda(lambda parts: 0.0 * (parts[0][:, :1] + parts[1]))([centroid, same])
    return keras.Model(picture, layers.Add(name="classes")([scores, zero]), name="known")


@pytest.fixture(scope="module")
def images():
    """Plain squares: half of them white, half black."""
    return [np.full((SIDE, SIDE, 1), float(place % 2), "float32") for place in range(6)]


@pytest.fixture(scope="module")
def found(model, images):
    return studies.viewport(
        model,
        images,
        [1 if image.max() == 1 else 2 for image in images],
        distances=(1, 2, 4, 2.5),
        positions=10,
        layers=["centroid", "nothing"],
        value_range=(0, 1),
    )


def r2(found, layer, pooling="global"):
    rows = found.decoding[(found.decoding["layer"] == layer)].set_index(["pooling", "target"])
    return rows.loc[pooling]


def test_a_layer_that_tells_the_centre_decodes_it(found):
    rows = r2(found, "centroid")
    assert (rows.loc[["x", "y"], "r2"] > 0.999).all()
    assert (rows.loc[["x", "y"], "error"] < 0.2).all()
    assert rows.loc["distance", "r2"] > 0.99
    assert (rows["r2_low"] <= rows["r2"]).all()
    assert (rows["r2"] <= rows["r2_high"]).all()
    assert (rows["chance_high"] < 0.1).all()


def test_a_constant_layer_tells_nothing(found):
    rows = r2(found, "nothing")
    assert (rows["r2"].abs() < 0.1).all()
    assert (rows["r2"] <= 1e-9).all()


def test_the_class_is_lost_exactly_where_it_must_be(found):
    """40 pixels are asked for: 16² and 8² and 6² = 36, 4² are there."""
    table = found.detection
    assert table["distance"].tolist() == [1.0, 2.0, 2.5, 4.0]
    assert table["size"].tolist() == [16, 8, 6, 4]
    assert table["accuracy"].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert table["chance"].tolist() == [0.5, 0.5, 0.0, 0.0]
    assert table["reliable"].tolist() == [True, True, False, False]
    assert found.reliable_distance == 2.0
    assert not found.is_open
    assert found.reliable_interval == (2.0, 2.0)
    assert found.size_at(2.0) == 8
    wilson = 6 / (6 + 1.959964**2)
    assert table["accuracy_low"].iloc[0] == pytest.approx(wilson, abs=1e-6)
    assert table["accuracy_high"].iloc[-1] == pytest.approx(1 - wilson, abs=1e-6)


def test_frames_hold_the_picture_where_the_table_says(found):
    rows = found.placements
    assert (rows["left"] >= 0).all()
    assert (rows["left"] + rows["width"] <= FRAME[1]).all()
    assert (rows["top"] >= 0).all()
    assert (rows["top"] + rows["height"] <= FRAME[0]).all()
    for distance, frame in zip((1, 2, 2.5, 4), found.examples, strict=True):
        row = rows[(rows["image"] == 0) & (rows["distance"] == distance)].iloc[0]
        down, across = np.nonzero(frame[..., 0] != 128)
        assert (down.mean() + 0.5, across.mean() + 0.5) == (row["y"], row["x"])
        assert len(down) == row["size"] ** 2


def test_saved_and_loaded(found, tmp_path):
    read = studies.Viewport.load(found.save(tmp_path / "found.npz"))
    for name in ("detection", "decoding", "placements"):
        assert getattr(read, name).reset_index(drop=True).equals(getattr(found, name))
    assert read.words() == found.words()
    assert read.parameters == found.parameters
    assert (read.examples == found.examples).all()
    assert read.reliable_interval == found.reliable_interval


def test_the_same_seed_gives_the_same_and_another_does_not(model, images):
    def run(seed):
        return studies.viewport(
            model, images, distances=(1, 2), positions=3, layers=["centroid"],
            value_range=(0, 1), background="noise", seed=seed,
        )  # fmt: skip

    one, again, other = run(0), run(0), run(1)
    assert one.decoding.equals(again.decoding)
    assert (one.examples == again.examples).all()
    assert not one.placements["x"].equals(other.placements["x"])
    assert one.parameters["labels"] == "close-up answers"
    assert one.placements.groupby("image")["label"].first().tolist() == [2, 1] * 3


def test_channels_first_and_batch_size_do_not_matter(images):
    first = keras.Input((1, *FRAME))
    last = keras.Input((*FRAME, 1))
    conv = layers.Conv2D(2, 3, name="conv")
    tail = [layers.GlobalMaxPooling2D(name="pool"), layers.Dense(3, name="classes")]
    models = []
    for start, x in ((last, last), (first, layers.Permute((2, 3, 1))(first))):
        x = conv(x)
        for layer in tail:
            x = layer(x)
        models.append(keras.Model(start, x))
    tables = [
        studies.viewport(
            one, images, [0, 1, 2] * 2, distances=(1, 2), positions=2, layers=["conv"],
            value_range=(0, 1), batch_size=size,
        ).decoding["r2"]
        for one, size in zip(models, (16, 5), strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(tables[0], tables[1], atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"frame": (10, 10)}, "the size that 'known' takes"),
        ({"frame": "big"}, r"\(height, width\) in pixels"),
        ({"size": 30}, "must fit into the frame"),
        ({"distances": (0, 1)}, "numbers above 0"),
        ({"positions": [(0.5, 2.0)]}, "pairs of shares"),
        ({"background": "sky"}, "must be one of"),
        ({"share": 0}, "above 0, at most 1"),
        ({"labels": [0, 1]}, "6 classes from 0 to 2"),
        ({"value_range": (0.0, 255.0)}, r"value_range=\(0, 1\)"),
        ({"preprocess": lambda frames: frames[:, ::2]}, "keep the shape"),
        ({"preprocess": "rint"}, "must be a function of frames"),
        ({"background": np.full((*FRAME, 1), np.nan)}, "finite values of shape"),
        ({"background": np.full((*FRAME, 1), "a")}, "finite values of shape"),
        ({"value_range": (1, 0)}, "two finite numbers"),
        ({"value_range": None}, "two finite numbers"),
        ({"images": 5}, "a list of pictures"),
        ({"num_decoding": 3}, "from 30 on"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_settings_are_refused(model, images, settings, told):
    with pytest.raises(InputError, match=told):
        studies.viewport(model, **{"images": images, "value_range": (0, 1), **settings})


def test_several_outputs_are_chosen_among_by_output(images):
    picture = keras.Input((*FRAME, 1))
    flat = layers.Flatten()(picture)
    heads = {name: layers.Dense(3, name=name)(flat) for name in ("one", "two")}
    with pytest.raises(TargetError, match=r"^`output` must say .* Pass `output='one'`\.$"):
        studies.viewport(keras.Model(picture, heads), images, value_range=(0, 1))


class Sums(layers.Layer):
    """Class 0 for an odd sum of pixels, 1 for an even one."""

    def call(self, x):
        odd = keras_ops.sum(x, axis=(1, 2, 3)) % 2
        return keras_ops.cast(keras_ops.stack([odd, 1 - odd], axis=-1), "float32")


@pytest.mark.filterwarnings("error")
def test_a_model_of_whole_numbers_gets_rounded_frames_and_one_place_is_no_fault():
    picture = keras.Input((4, 4, 1), dtype="uint8")
    model = keras.Model(picture, Sums(name="sums")(picture))
    pictures = [np.full((3, 3, 1), value) for value in (7.4, 8.6, 9.0)]
    found = studies.viewport(
        model, pictures, distances=(1,), positions=[(0.5, 0.5)], layers=["sums"],
        background=np.zeros((4, 4, 1)),
    )  # fmt: skip
    assert found.placements["predicted"].tolist() == [0, 0, 0]
    assert found.decoding["r2"].isna().all()


def test_wrong_pictures_and_models_are_refused(model, images):
    with pytest.raises(InputError, match="at least three"):
        studies.viewport(model, images[:2], value_range=(0, 1))
    with pytest.raises(InputError, match="values in `value_range`"):
        studies.viewport(model, [2 * image for image in images], value_range=(0, 1))
    with pytest.raises(InputError, match="values in `value_range`"):
        studies.viewport(model, [np.nan * image for image in images], value_range=(0, 1))
    with pytest.raises(InputError, match="`model` must be given with `images`"):
        studies.viewport(None, images)
    with pytest.raises(InputError, match="`preprocess` must be given for photos"):
        studies.viewport(model)
    vector = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(InputError, match="one input of pictures"):
        studies.viewport(vector, images, value_range=(0, 1))
    broken = keras.Sequential([keras.Input((*FRAME, 1)), layers.Flatten(), layers.Dense(2)])
    broken.layers[-1].bias.assign([0.0, np.nan])
    with pytest.raises(MethodError, match="Expected finite answers"):
        studies.viewport(broken, images, value_range=(0, 1))
