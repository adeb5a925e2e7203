"""Which weights of a model are attention weights, by type and structure or by the user's choice."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import keras

from kerasviz.errors import AddressError, InputError, MethodError
from kerasviz.probe import containment
from kerasviz.probe.gates import Gate, gates_and_paths
from kerasviz.probe.held_weights import HeldWeight, held_weights
from kerasviz.probe.inputs import check_model
from kerasviz.probe.serial_depth import Paths

Groups = Mapping[str, Any] | None

ORDER = ("fusion", "semi-local", "fully-local", "squeeze-excitation", "position gates", "gates")
PROJECTIONS = {"query": "query", "key": "key", "value": "value", "attention_output": "output"}
KINDS = {"channel": "squeeze-excitation", "position": "position gates", "both": "gates"}


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """A named choice of weights.

    Attributes:
        name: As in the table.
        weights: Each once.
        gates: The layer of each gate that they belong to; None where that is not known.
        paths: The paths through the model; None where it could not be traced.
    """

    name: str
    weights: tuple[HeldWeight, ...]
    gates: tuple[Any, ...] | None
    paths: Paths | None = None

    @property
    def depth(self) -> int | None:
        """How many gates of the group lie on one path through the model; None if not known."""
        return self.paths.depth(self.gates) if self.gates and self.paths else None

    def by_role(self) -> dict[str, list[HeldWeight]]:
        """The weights by the name of their variable: "kernel", "bias", in order of appearance."""
        found: dict[str, list[HeldWeight]] = {}
        for held in self.weights:
            found.setdefault(held.role, []).append(held)
        return found


@dataclasses.dataclass(frozen=True, eq=False)
class _Gate:
    """Weights that decide a gate or a projection of attention, found in a model.

    Attributes:
        group: The row of the table that they belong to.
        layer: The layer through whose output the data flows once they have had their effect.
        weights: `id` of each variable.
    """

    group: str
    layer: Any
    weights: frozenset[int]


def chosen_groups(model: keras.Model, groups: Groups) -> list[Group]:
    """The groups that are asked for, or those that are found.

    Raises:
        InputError: Not a built Keras model, or `groups` is no dict of choices.
        AddressError: A choice that matches no weight.
        MethodError: No attention was found and none was named.
    """
    check_model(model)
    weights = held_weights(model)
    traced = _traced(model)
    gates = _found_gates(model, traced[0] if traced else ())
    chosen = _chosen_from(model, groups, weights, gates)
    return [dataclasses.replace(one, paths=traced[1]) for one in chosen] if traced else chosen


def _traced(model: keras.Model) -> tuple[Sequence[Gate], Paths] | None:
    with contextlib.suppress(Exception):  # whatever the model's own code raises: types must do
        return gates_and_paths(model)
    return None


def _chosen_from(
    model: keras.Model, groups: Groups, weights: Sequence[HeldWeight], gates: Sequence[_Gate]
) -> list[Group]:
    if groups is None:
        return _from_gates(model, weights, gates)
    if not isinstance(groups, Mapping) or not groups:
        raise InputError(
            "`groups` must be a dict of name to pattern, layer type or layers, or None. "
            f"Received: {groups!r}. Write e.g. groups={{'gates': '.*se_.*'}}."
        )
    return [_chosen(str(name), choice, weights, gates) for name, choice in groups.items()]


def _from_gates(
    model: keras.Model, weights: Sequence[HeldWeight], gates: Sequence[_Gate]
) -> list[Group]:
    names = sorted(dict.fromkeys(gate.group for gate in gates), key=_rank)
    found = []
    for name in names:
        of_group = [gate for gate in gates if gate.group == name]
        wanted = frozenset().union(*(gate.weights for gate in of_group))
        held = tuple(one for one in weights if id(one.variable) in wanted)
        if held:
            found.append(Group(name, held, tuple(gate.layer for gate in of_group)))
    if not found:
        raise MethodError(
            "Expected a model with attention: excitation, fusion, gates or stock attention layers. "
            f"Received: '{model.name}', in which none was found. "
            "Name its weights: groups={'name': 'pattern of their addresses'}."
        )
    return found


def _rank(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER)


def _found_gates(model: keras.Model, traced: Sequence[Gate]) -> list[_Gate]:
    """Every gate and projection of attention, by type first, then by structure.

    Args:
        model: The model.
        traced: What its graph shows, such as the gates of `keras.applications`.
    """
    layers = {id(layer): layer for _, layer in containment.walk(model)}
    gates = [gate for layer in layers.values() for gate in _gates_by_type(layer)]
    known = frozenset().union(*(gate.weights for gate in gates))
    return gates + [
        _Gate(KINDS[gate.kind], gate.layer, _learned(gate.variables))
        for gate in traced
        if _learned(gate.variables) - known
    ]


def _learned(variables: Sequence[Any]) -> frozenset[int]:
    """The variables, by `id`, that training sets: all but running statistics."""
    return frozenset(id(one) for one in variables if not one.name.startswith("moving_"))


def _gates_by_type(layer: Any) -> Iterator[_Gate]:
    """What a layer of a known type holds."""
    from kerasviz.attention.layers.encoder_fusion import EncoderFusion
    from kerasviz.attention.layers.squeeze_excitation import SqueezeExcitation

    stock = (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)
    if isinstance(layer, EncoderFusion):
        yield _Gate("fusion", layer, _ids(layer))
    elif isinstance(layer, SqueezeExcitation):
        rows = {"semi_local": "semi-local", "fully_local": "fully-local"}
        yield _Gate(rows.get(layer.name, "squeeze-excitation"), layer, _ids(layer))
    elif isinstance(layer, stock):
        for child in containment.children(layer):
            if child.name in PROJECTIONS:
                yield _Gate(PROJECTIONS[child.name], layer, _ids(child))
    elif isinstance(layer, keras.layers.Attention) and layer.weights:
        yield _Gate("attention", layer, _ids(layer))


def _ids(layer: Any) -> frozenset[int]:
    return frozenset(id(weight) for weight in getattr(layer, "weights", ()))


def _chosen(name: str, choice: Any, weights: Sequence[HeldWeight], gates: Sequence[_Gate]) -> Group:
    parts = list(choice) if isinstance(choice, (list, tuple, set, frozenset)) else [choice]
    if not parts:
        raise InputError(
            f"Group '{name}' must choose some weights. Received: {choice!r}. "
            "Give a pattern of their addresses, a layer type or layers."
        )
    wanted: set[int] = set()
    for part in parts:
        matched = [held for held in weights if _matcher(name, part)(held)]
        if not matched:
            raise _no_match(name, part, weights)
        wanted |= {id(held.variable) for held in matched}
    held = tuple(one for one in weights if id(one.variable) in wanted)
    return Group(name, held, _gates_of(wanted, gates))


def _gates_of(wanted: Collection[int], gates: Sequence[_Gate]) -> tuple[Any, ...] | None:
    """The gates that hold the weights, if each weight belongs to one."""
    touched = [gate for gate in gates if not gate.weights.isdisjoint(wanted)]
    held = frozenset().union(*(gate.weights for gate in touched))
    layers = {id(gate.layer): gate.layer for gate in touched}
    return tuple(layers.values()) if held >= set(wanted) else None


def _matcher(name: str, part: Any) -> Callable[[HeldWeight], bool]:
    if isinstance(part, (str, re.Pattern)):
        pattern = _compiled(name, part)
        return lambda held: any(pattern.fullmatch(address) for address in held.addresses)
    if isinstance(part, type) and issubclass(part, keras.Layer):
        return lambda held: any(isinstance(layer, part) for layer in held.holders)
    if isinstance(part, keras.Layer):
        return lambda held: any(layer is part for layer in held.holders)
    raise InputError(
        f"Group '{name}' must be chosen by pattern, layer type or layer. Received: {part!r} "
        f"(of type {type(part).__name__}). Give a regular expression of addresses, such as "
        "'.*semi_local.*'."
    )


def _compiled(name: str, pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"Group '{name}' must be a regular expression. Received: {pattern!r}, which is none: "
            f"{error}. Escape its special characters, as in '.*conv_\\(1\\).*'."
        ) from None


def _no_match(name: str, part: Any, weights: Sequence[HeldWeight]) -> AddressError:
    known = [address for held in weights for address in held.addresses]
    text = getattr(part, "pattern", part)
    text = text if isinstance(text, str) else getattr(part, "name", part.__class__.__name__)
    inside = [address for address in known if text.strip(".*^$") and text.strip(".*^$") in address]
    close = [*inside[:3], *difflib.get_close_matches(text, known, n=3, cutoff=0.3)]
    shown = ", ".join(map(repr, list(dict.fromkeys(close or known))[:3]))
    closest = f" Closest addresses: {shown}." if shown else " It holds no weights."
    return AddressError(
        f"Group '{name}' must match a weight's whole address. Received: {part!r}, which matches "
        f"none of {len(known)}.{closest}"
    )
