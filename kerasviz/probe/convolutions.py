"""The convolutions of a model, by the address of the layer that convolves."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras

from kerasviz.errors import MethodError
from kerasviz.probe.backend import convolutions
from kerasviz.probe.backend.convolutions import Convolution
from kerasviz.probe.run import Run
from kerasviz.probe.taps import Call

_LOOPS = (keras.layers.RNN, keras.layers.Bidirectional, keras.layers.TimeDistributed)
_LAYERS = tuple(
    getattr(keras.layers, name + rank + end)
    for name in ("Conv", "DepthwiseConv", "SeparableConv")
    for rank in ("1D", "2D", "3D")
    for end in ("", "Transpose")
    if hasattr(keras.layers, name + rank + end)
)


@dataclasses.dataclass(frozen=True, eq=False)
class Named:
    """One convolution of a run.

    Attributes:
        address: Address of the call that convolves; of a separable convolution "address:depthwise"
            and "address:pointwise"; a second convolution of another call is "address:2".
        call: Address of the call itself.
        convolution: What it does.
    """

    address: str
    call: str
    convolution: Convolution


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """The convolutions of a run.

    Attributes:
        named: Those that can be looked at, in the order in which they run.
        beyond: Addresses of calls that convolve where nothing can look: in loops (recurrent layers,
            `TimeDistributed`), in functions that branch on tensors.
    """

    named: list[Named]
    beyond: list[str]

    def of_layers(self, record: Run, layers: Sequence[str] | None) -> list[Named]:
        """The convolutions at or below these addresses, all of them for None.

        Raises:
            AddressError: The model does not call such a layer.
            MethodError: There is no convolution, or it can't be looked at.
        """
        if layers is None:
            return self.named or self._none()
        chosen = [one for address in layers for one in self._at(record, address)]
        return sorted(dict.fromkeys(chosen), key=self.named.index)

    def _at(self, record: Run, address: str) -> list[Named]:
        found = [
            one for one in self.named if _is_below(one.call, address) or one.address == address
        ]
        if found:
            return found
        record.recorder.find(address)
        if any(_is_below(call, address) for call in self.beyond):
            raise MethodError(
                "`layers` must be convolutions outside of loops. Received: "
                f"{address!r}, which convolves inside a recurrent layer, `TimeDistributed` or a "
                "function that branches on tensors. Name other layers."
            )
        named = ", ".join(repr(one.call) for one in self.named[:3])
        raise MethodError(
            f"`layers` must be convolutions. Received: {address!r}, which does not convolve. "
            f"Name such as {named or 'none: this model has no convolution'}."
        )

    def _none(self) -> list[Named]:
        inside = f" but in loops: {', '.join(self.beyond[:3])}" if self.beyond else ""
        raise MethodError(
            f"Expected a model that convolves. Received: one without a convolution{inside}. "
            "Choose a convolutional model, or see `kv.dynamics.distributions` for other layers."
        )


def find(record: Run) -> Found:
    """The convolutions of a run, of whatever layers."""
    loops = [call for call in record.calls if isinstance(call.layer, _LOOPS)]
    by_call: dict[int, tuple[Call | None, list[convolutions.Site]]] = {}
    for site in convolutions.sites():
        call = record.innermost(site.number)
        by_call.setdefault(id(call), (call, []))[1].append(site)
    named, beyond = [], []
    for call, sites in by_call.values():
        address = "" if call is None else call.address
        known = [site.convolution for site in sites if site.convolution is not None]
        if len(known) < len(sites) or any(_covers(loop, sites[0].number) for loop in loops):
            beyond.append(address)
            continue
        for number, convolution in enumerate(known):
            named.append(Named(address + _stage(call, known, number), address, convolution))
    seen = [*beyond, *(one.call for one in named)]
    beyond += [c.address for c in record.calls if _is_hidden(c) and c.address not in seen]
    return Found(named, beyond)


def _stage(call: Call | None, known: Sequence[Convolution], number: int) -> str:
    if len(known) == 1:
        return ""
    if [one.kind for one in known] == ["depthwise", "plain"]:
        return (":depthwise", ":pointwise")[number]
    return f":{number + 1}" if number else ""


def _covers(loop: Call, place: int) -> bool:
    return loop.span[0] <= place < loop.span[1]


def _is_hidden(call: Call) -> bool:
    """Whether a call convolves, where no op of it was seen."""
    is_loop = isinstance(call.layer, keras.layers.TimeDistributed)
    return isinstance(call.layer.layer if is_loop else call.layer, _LAYERS)


def _is_below(address: str, ancestor: str) -> bool:
    return address == ancestor or address.startswith(f"{ancestor}/")
