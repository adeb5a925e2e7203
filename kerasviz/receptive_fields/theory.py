"""What the units of each layer can see of the input, computed from the model's graph alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import InputError, MethodError
from kerasviz.probe import addresses
from kerasviz.probe.extents import SightReader, Site, Sizes
from kerasviz.probe.provenance import provenance
from kerasviz.receptive_fields.boxes import Boxes, boxes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
_PER_AXIS = ("size", "stride", "offset", "units", "padding")
_WHOLE = ("size", "units")


@dataclasses.dataclass(frozen=True, eq=False)
class ReceptiveFields:
    """The theoretical receptive fields of all layers of a model.

    Args:
        table: What `kv.receptive_fields.theoretical` returns: one row per call of a layer.
        input: Name of the input that the positions are those of.
        input_size: Its sizes.
        axes: What the axes are called in the columns, where there are several.
        sites: By address, what the fields are read from.
        provenance: Versions, model, time.
    """

    table: pd.DataFrame
    input: str
    input_size: tuple[int, ...]
    axes: tuple[str, ...]
    sites: Mapping[str, Boxes | str]
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.input_size))
        return f"ReceptiveFields({len(self.table)} layers, input {self.input!r} of {size})"

    @classmethod
    def measure(
        cls,
        model: keras.Model,
        input_size: Sizes = None,
        *,
        input_name: str | int | None = None,
        inputs: Any = None,
    ) -> ReceptiveFields:
        """What the units of each layer can see; see `kv.receptive_fields.theoretical`.

        Args:
            model: As for `theoretical`, and so are all the others.

        Raises:
            InputError: A model that is not built, a size that is missing or does not fit.
            MethodError: No input has positions, or several have and `input_name` is None.

        Example:

        ```python
        fields = kv.receptive_fields.ReceptiveFields.measure(model)
        print(fields.field("encoder/conv", (3, 4)))
        figure = fields.plot(images[0])
        ```
        """
        sight = SightReader(model, input_name).sight(input_size, inputs)
        count = len(sight.size)
        axes = _AXES.get(count) or tuple(f"axis_{n}" for n in range(1, count + 1))
        found = {site.address: site.reason or boxes(site, sight.size) for site in sight.sites}
        table = _table(sight.sites, found, axes)
        return cls(table, sight.input, sight.size, axes, found, provenance(model))

    def columns(self, name: str) -> list[str]:
        """Names of the columns of `table` that hold a measure, one an axis.

        Args:
            name: "size", "stride", "offset", "units" or "padding".
        """
        return _columns(name, self.axes)

    def field(self, address: str, unit: int | Sequence[int] | None = None) -> tuple[slice, ...]:
        """The part of the input that a unit can see: index an image with it.

        Args:
            address: Address of a layer, as in the table.
            unit: Position of the unit in the layer's output without batch and channels; None for
                the one in the middle.

        Returns:
            A slice per axis of positions of the input, cut off at the border.

        Raises:
            AddressError: No such layer.
            MethodError: A layer whose fields are not known.
            InputError: No such unit, or one that sees nothing.
        """
        found = self._boxes(address)
        return found.box(found.position(unit, address), address)

    def _boxes(self, address: str) -> Boxes:
        if address not in self.sites:
            raise addresses.not_found(address, [*self.sites])
        found = self.sites[address]
        if isinstance(found, str):
            raise MethodError(
                f"Expected a layer whose receptive field is known. Received: {address!r}, of which "
                f"it is not: {found}. The column 'reason' of `.table` says so of each layer."
            )
        return found

    def seeing(self, *sizes: int) -> list[str]:
        """The layers whose units can see an object of this size as a whole, in order.

        Args:
            sizes: Input positions of the object along each axis; one for all axes alike.

        Raises:
            InputError: Not one size, or one an axis.
        """
        wanted = sizes * len(self.axes) if len(sizes) == 1 else sizes
        if len(wanted) != len(self.axes) or not all(size > 0 for size in wanted):
            raise InputError(
                f"`sizes` must be one positive number, or {len(self.axes)} of them, one an axis. "
                f"Received: {sizes!r}."
            )
        big = np.ones(len(self.table), bool)
        for column, size in zip(self.columns("size"), wanted, strict=True):
            big &= self.table[column].ge(size).fillna(False).to_numpy(bool)
        return [str(address) for address in self.table.index[big]]

    def telling(self, count: int = 6) -> list[str]:
        """A few layers that show how fields grow, up to the first as large as the input."""
        sizes = self.table[self.columns("size")].min(axis=1)
        known = sizes.dropna().astype(float)
        growing = known[known > known.cummax().shift(fill_value=0.0)]
        if not len(growing):
            return []
        enough = growing[growing >= min(self.input_size)]
        growing = growing[: enough.index[0]] if len(enough) else growing
        goals = np.geomspace(growing.iloc[0], growing.iloc[-1], count)
        nearest = [int(np.abs(np.log(growing.to_numpy() / goal)).argmin()) for goal in goals]
        return [str(growing.index[place]) for place in sorted(set(nearest))]

    def plot(
        self,
        image: np.ndarray | None = None,
        layers: Sequence[str] | None = None,
        unit: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> Figure:
        """Fields of one unit each, drawn on a picture; see `kv.plots.receptive_field`.

        Args:
            image: (height, width) or (height, width, colours) of any size; it stands for the
                input. None draws an empty one.
            layers: Addresses; None for a few that show how fields grow.
            unit: Which unit; None for the one in the middle of each layer.
            kwargs: For `kv.plots.receptive_field`.

        Raises:
            MethodError: The input has not two axes of positions.
        """
        from kerasviz.plots.receptive_fields import receptive_field

        if len(self.axes) != 2:
            raise MethodError(
                "Expected a model of pictures, with two axes of positions. Received: "
                f"{len(self.axes)}: {', '.join(self.axes)}. Use `.table` or `.field`."
            )
        chosen = self.telling() if layers is None else list(layers)
        fields = {address: self.field(address, unit) for address in chosen}
        columns = self.columns("size")
        sizes = {a: tuple(map(int, self.table.loc[a, columns].to_numpy())) for a in chosen}
        return receptive_field(fields, self.input_size, image, sizes=sizes, **kwargs)


def theoretical(
    model: keras.Model,
    input_size: Sizes = None,
    *,
    input_name: str | int | None = None,
    inputs: Any = None,
) -> pd.DataFrame:
    """What the units of each layer can see of the input.

    Counted is every position from which a number can find its way to a unit, by following the
    model's graph operation by operation: branches take the hull of what each sees, padding,
    strides, dilation, cropping, resizing and upsampling are taken as they are, and what takes all
    positions at once (flattening and a dense layer, global pooling, attention) sees all of them.
    Nothing is computed but sizes, and nothing is approximated: of an operation that is not
    understood, and of what follows it, the table says so.

    Args:
        model: Any built Keras 3 model; not altered.
        input_size: Size of the input along its axes of positions, where the model leaves it open:
            one whole number, one per axis, or a dict of these by input name.
        input_name: Name or index of the input whose positions are meant; None for the only one that
            has positions.
        inputs: A batch, for models that do not say what they take; only its shape counts.

    Returns:
        DataFrame with one row per call of a layer, by address. Per axis of positions of the input:

        - `size_*`: how many positions a unit can see, the border not counted, as published sizes
          are; the largest one where units differ;
        - `stride_*`: input positions between neighbouring units, a fraction after upsampling;
        - `offset_*`: the centre of the first unit's field, in input positions counted from 0;
        - `units_*`: number of units along the axis;
        - `padding_*`: the largest share of a field that lies outside the input, in [0, 1];

        where `*` is height and width, or depth, height and width; with one axis they are plain
        `size`, `stride`, … And for all axes together `type` of the layer, `shape` of its output,
        `covering`: the share of units that can see the whole input, and `reason`: why a row is
        empty, else "". `kv.receptive_fields.ReceptiveFields.measure` also keeps the field of every
        unit and draws them.

    Raises:
        InputError: A model that is not built, a size that is missing or does not fit.
        MethodError: No input has positions, or several have and `input_name` is None.

    Reference:
        Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill
        2019. Sizes, strides and offsets are theirs (offset: of the centre, from 0).

    Example:

    ```python
    table = kv.receptive_fields.theoretical(model)
    print(table[["size_height", "stride_height"]])
    ```
    """
    return ReceptiveFields.measure(model, input_size, input_name=input_name, inputs=inputs).table


def _columns(name: str, axes: Sequence[str]) -> list[str]:
    return [name] if len(axes) == 1 else [f"{name}_{axis}" for axis in axes]


def _table(
    sites: Sequence[Site], found: Mapping[str, Boxes | str], axes: Sequence[str]
) -> pd.DataFrame:
    import pandas as pd

    names = [_columns(name, axes) for name in _PER_AXIS]
    per_axis = [list(columns) for columns in zip(*names, strict=True)]
    rows = []
    for site in sites:
        one = found[site.address]
        row: dict[str, Any] = {"address": site.address, "type": site.kind, "shape": site.shape}
        for number, columns in enumerate(per_axis):
            values = [None] * len(_PER_AXIS) if isinstance(one, str) else one.measures(number)
            row |= dict(zip(columns, values, strict=True))
        row["covering"] = None if isinstance(one, str) else one.covering
        row["reason"] = one if isinstance(one, str) else one.note
        rows.append(row)
    measures = [column for columns in per_axis for column in columns]
    order = ["address", "type", "shape", *measures, "covering", "reason"]
    table = pd.DataFrame(rows, columns=order).set_index("address")
    whole = {c: "Int64" if c.startswith(_WHOLE) else "float64" for c in measures}
    return table.astype({**whole, "covering": "float64"})
