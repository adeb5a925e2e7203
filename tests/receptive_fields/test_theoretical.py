"""Theoretical receptive fields: worked by hand, as published, and what is refused."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import kerasviz as kv
from kerasviz.errors import AddressError, InputError, MethodError
from tests.models import KINDS

measure = kv.receptive_fields.ReceptiveFields.measure


def chain(shape: tuple[int | None, ...], *stack: layers.Layer) -> keras.Model:
    picture = keras.Input(shape, name="picture")
    x = picture
    for layer in stack:
        x = layer(x)
    return keras.Model(picture, x)


def along(table: Any, address: str, axis: str = "height") -> list[Any]:
    names = ("size", "stride", "offset", "units", "padding")
    return [table.loc[address, f"{name}_{axis}"] for name in names]


@pytest.fixture(scope="module")
def worked() -> kv.receptive_fields.ReceptiveFields:
    """A stack whose numbers are worked out beside the test."""
    return measure(
        chain(
            (24, 20, 3),
            layers.Conv2D(2, 3, strides=2, padding="same", name="strided"),
            layers.MaxPooling2D(2, name="pool"),
            layers.ZeroPadding2D(1, name="pad"),
            layers.Conv2D(2, 3, dilation_rate=(1, 2), name="dilated"),
            layers.UpSampling2D(2, name="up"),
            layers.BatchNormalization(name="norm"),
            layers.GlobalMaxPooling2D(name="all"),
        )
    )


def test_a_stack_by_hand(worked) -> None:
    table = worked.table
    # "same" at stride 2 on an even size pads behind only: units at 1, 3, 5, …; the last hangs over.
    assert along(table, "strided") == pytest.approx([3, 2, 1, 12, 1 / 3])
    # Two of those, 2 apart: 3 + 2 positions.
    assert along(table, "pool") == pytest.approx([5, 4, 2, 6, 1 / 5])
    # One more unit in front, wholly outside.
    assert along(table, "pad") == pytest.approx([5, 4, -2, 8, 1])
    # 5 + 2 · 4; the first is at -2 + 4.
    assert along(table, "dilated") == pytest.approx([13, 4, 2, 6, 5 / 13])
    # 5 + 4 · 4 with taps two apart, 7 padded units less 4. The first unit's first tap is on padding
    # and its second one at 4: of -4 … 16 it sees 4 … 16.
    assert along(table, "dilated", "width") == pytest.approx([21, 4, 6, 3, 8 / 21])
    assert along(table, "up") == pytest.approx([13, 2, 2, 12, 5 / 13])
    assert along(table, "norm") == along(table, "up")
    assert along(table, "all")[0] == 24
    assert np.isnan(along(table, "all")[1])
    assert table["covering"].to_dict() == {name: float(name == "all") for name in table.index}


def test_boxes_by_hand(worked) -> None:
    assert worked.field("strided", (0, 0)) == (slice(0, 3), slice(0, 3))
    assert worked.field("strided", (-1, 3)) == (slice(22, 24), slice(6, 9))
    assert worked.field("dilated", (0, 1)) == (slice(0, 9), slice(0, 20))
    assert worked.field("dilated", (2, 1)) == (slice(4, 17), slice(0, 20))
    # Of 6 x 3 units the one in the middle is (3, 1).
    assert worked.field("dilated") == (slice(8, 21), slice(0, 20))
    assert worked.field("all") == worked.field("all", ()) == (slice(0, 24), slice(0, 20))


def test_which_layers_see_an_object(worked) -> None:
    assert worked.seeing(5)[:1] == ["pool"]
    assert worked.seeing(13, 14) == ["dilated", "up", "norm", "all"]
    assert worked.seeing(25) == []
    assert worked.telling() == ["strided", "pool", "dilated", "all"]
    with pytest.raises(InputError, match="`sizes` must be one positive number"):
        worked.seeing(1, 2, 3)


def test_the_table_is_returned_and_one_axis_needs_no_name(worked) -> None:
    sound = chain((16, 2), layers.Conv1D(2, 3, strides=2, name="conv"))
    table = kv.receptive_fields.theoretical(sound)
    row = table.loc["conv", ["size", "stride", "offset", "units", "padding"]]
    assert row.tolist() == [3, 2, 1, 7, 0]
    fields = measure(sound)
    assert fields.table.equals(table)
    assert (fields.columns("size"), worked.columns("size")) == (
        ["size"],
        ["size_height", "size_width"],
    )
    assert fields.seeing(3) == fields.telling() == ["conv"]


def test_branches_take_the_hull_and_shared_layers_a_row_a_call() -> None:
    table = measure(KINDS["shared_layer"]().model).table
    assert [int(table.loc[a, "size_width"]) for a in ("stem", "conv", "conv@2")] == [3, 7, 11]
    picture = keras.Input((9, 9, 1))
    low = layers.Cropping2D(((0, 6), (0, 6)), name="low")(picture)
    high = layers.Cropping2D(((6, 0), (6, 0)), name="high")(picture)
    both = layers.Concatenate(name="both")([low, high])
    fields = measure(keras.Model(picture, both))
    assert fields.field("both", (0, 0)) == (slice(0, 7), slice(0, 7))


def test_recurrent_layers() -> None:
    steps = keras.Input((6, 2), name="steps")
    x = layers.Conv1D(2, 2, name="conv")(steps)
    ahead = layers.LSTM(2, return_sequences=True, name="ahead")(x)
    back = layers.GRU(2, return_sequences=True, go_backwards=True, name="back")(x)
    both = layers.Bidirectional(layers.SimpleRNN(2, return_sequences=True), name="both")(x)
    last = layers.SimpleRNN(2, name="last")(x)
    fields = measure(keras.Model(steps, [ahead, back, both, last]))
    assert [fields.field("ahead", t) for t in (0, 2, 4)] == [
        (slice(0, stop),) for stop in (2, 4, 6)
    ]
    assert [fields.field("back", t) for t in (0, 2)] == [(slice(4, 6),), (slice(2, 6),)]
    assert fields.field("both", 0) == fields.field("last") == (slice(0, 6),)


def test_tokens_and_time() -> None:
    table = measure(KINDS["class_token_vit"]().model).table
    assert along(table, "class_token") == pytest.approx([4, 4, 1.5, 4, 0])
    assert list(table.loc["block_1/attention", ["size_height", "size_width"]]) == [16, 12]
    film = measure(KINDS["time_distributed"]().model)
    assert film.axes == ("depth", "height", "width")
    assert along(film.table, "steps_2", "depth")[:2] == [1, 1]


# Araujo, Norris, Sim, Distill 2019, table of published networks: vgg_16 212, resnet_v1_50 483 and
# mobilenet_v1 315, all at stride 32. Their ResNet strides at the end of a stage and Keras's at the
# start of the next, but in both the 3x3 convolutions of a stage lie on that stage's grid: the sizes
# agree.
@pytest.mark.parametrize(
    ("name", "layer", "size", "stride", "offset"),
    [
        ("ResNet50", "conv5_block3_out", 483, 32, 0.0),
        ("MobileNet", "conv_pw_13_relu", 315, 32, 31),
        ("VGG16", "block5_pool", 212, 32, 15.5),
    ],
)
def test_published_networks(name: str, layer: str, size: int, stride: int, offset: float) -> None:
    model = getattr(keras.applications, name)(weights=None, include_top=False)
    table = kv.receptive_fields.theoretical(model, 64)
    assert along(table, layer)[:3] == [size, stride, offset]
    assert along(table, layer, "width")[:3] == [size, stride, offset]
    assert (table["reason"] == "").all()


class Unfollowed(layers.Layer):
    """Sorts by a way of its own."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.real(keras.ops.ifft2((inputs, inputs))[0])


def test_what_is_not_understood_is_named_and_spreads() -> None:
    picture = keras.Input((8, 8, 3))
    x = layers.Conv2D(2, 3, name="before")(picture)
    x = layers.Conv2D(2, 3, name="after")(Unfollowed(name="fourier")(x))
    fields = measure(keras.Model(picture, x))
    assert list(fields.table["reason"] == "") == [True, False, False]
    assert fields.table.loc["after", "reason"].endswith("is not understood in 'fourier'")
    assert fields.table["size_height"].isna().tolist() == [False, True, True]
    with pytest.raises(MethodError, match="is not understood in 'fourier'"):
        fields.field("after")


def test_open_sizes() -> None:
    model = chain((None, 12, 3), layers.Conv2D(2, 3, name="conv"))
    with pytest.raises(InputError, match="`input_size` must be given"):
        measure(model)
    for size in (10, (10,), (10, 12), {"picture": 10}):
        assert measure(model, size).input_size == (10, 12)
    with pytest.raises(InputError, match="must fit 'picture'"):
        measure(model, (10, 13))
    for size in (0, "10", (10.5,)):
        with pytest.raises(InputError, match="positive whole number"):
            measure(model, size)
    with pytest.raises(InputError, match="must name inputs"):
        measure(model, {"photo": 10})


def test_which_input() -> None:
    model = KINDS["multi_input"]().model
    with pytest.raises(MethodError, match=r"'color', 'depth'\. Name one of them"):
        measure(model)
    one = measure(model, input_name="depth")
    assert (one.input, measure(model, input_name=1).input) == ("depth", "depth")
    assert (one.table["reason"] == "does not depend on the input").any()
    with pytest.raises(InputError, match="There are: 'color', 'depth'"):
        measure(model, input_name="sound")
    with pytest.raises(MethodError, match="all it takes is features"):
        measure(chain((5,), layers.Dense(2)))


def test_no_such_layer_or_unit(worked) -> None:
    with pytest.raises(AddressError, match="Closest: 'strided'"):
        worked.field("stride")
    for unit in ((12, 0), 3, (0, 0, 0), (0.5, 0), "ab"):
        with pytest.raises(InputError, match=r"has \(12, 10\) units"):
            worked.field("strided", unit)
    with pytest.raises(InputError, match="sees padding or constants only"):
        worked.field("pad", (0, 0))
    with pytest.raises(InputError, match="must be built"):
        measure(keras.Sequential([layers.Dense(2)]))


def test_plot_draws_a_panel_a_layer(worked) -> None:
    figure = worked.plot(np.zeros((30, 30, 3)), ["strided", "dilated"], (0, 1))
    panels = figure.axes
    assert len(panels) == 2
    rectangle = panels[1].patches[-1]
    assert (rectangle.get_width(), rectangle.get_height()) == (20, 9)
    said = [text.get_text() for text in figure.texts]
    assert "3 × 3, 1.9% of the input" in said
    assert "13 × 21, cut to 38% of the input" in said
    with pytest.raises(MethodError, match="two axes of positions"):
        measure(chain((9, 2), layers.Conv1D(2, 3))).plot()
    with pytest.raises(InputError, match="`image` must be one picture"):
        worked.plot(np.zeros((1, 30, 30, 3)))
