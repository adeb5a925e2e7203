"""The base on which every explainer stands."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from kerasviz.attribution import diagnosis, maps
from kerasviz.attribution.explanation import Explanation
from kerasviz.errors import InputError, KerasvizWarning, MethodError, TargetError
from kerasviz.probe import addresses
from kerasviz.probe import inputs as probe_inputs
from kerasviz.probe import targets as probe_targets
from kerasviz.probe.activations import check_called
from kerasviz.probe.backend import compiled, graph
from kerasviz.probe.provenance import provenance
from kerasviz.probe.run import Run, run
from kerasviz.probe.taps import Reader
from kerasviz.probe.targets import Score, Target
from kerasviz.probe.wrapper import Wrapper
from kerasviz.samples.labels import usual_labels

ops: Any = keras.ops


@dataclasses.dataclass(frozen=True, eq=False)
class RawMap:
    """What a method found for one input, before it is scaled to [0, 1].

    Attributes:
        values: (batch, *positions) float32.
        signals: Named (batch,) tensors that say where a zero or NaN map came from.
        layer: Address of the layer that was used, "" for the input itself.
        resolution: Static size of the positions, before any enlargement.
        reason: Why that layer was chosen.
    """

    values: Any
    signals: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    layer: str = ""
    resolution: tuple[int | None, ...] = ()
    reason: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class RawMaps:
    """One `RawMap` per explained input, with the coverage of the rule that was used."""

    by_input: Mapping[str, RawMap]
    coverage: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Info:
    """What tracing an explainer teaches."""

    score_kind: str
    limits: tuple[probe_targets.Classes | probe_targets.Positions, ...]
    has_index: bool
    raw: Mapping[str, RawMap]
    coverage: str
    head: int | None
    several: bool


class Explainer(Wrapper):
    """A `keras.Model` that answers inputs with maps of where the wrapped model looks.

    A subclass implements `raw_maps`, about ten lines on what `probe` offers.

    Args:
        model: Any built Keras 3 model; not cloned, not altered.
        layer: Address, layer object or index; None = chosen by rule and reported.
        target: Default target: None (predicted class), an int, a label, one per sample, a
            callable, a tf-keras-vis score, `{output: target}`, a `kv.targets.Target`, or "label"
            to take the labels of the data set in `predict`.
        labels: Class names. None: ImageNet's, when the explained output has 1000 units.
        normalize: Scale each map by its largest absolute value. False: raw numbers.
        name: Optional Keras name.

    Call arguments:
        inputs: A batch in the model's own structure.
        target: As above, for this call only.

    Returns:
        Maps, float32 (batch, *positions), in [0, 1] ([-1, 1] where the method is asked for signs);
        for a model with several inputs a dict input name → maps.

    Raises:
        AddressError: The layer does not exist.
        InputError: The inputs do not fit the model, are empty or hold NaN.
        TargetError: The outputs cannot answer the target.
        MethodError: The method makes no sense for this model; the message names one that does.
    """

    title: ClassVar[str] = ""
    open_functions: ClassVar[bool] = False
    by_tape: ClassVar[bool] = False
    no_layer: ClassVar[str] = "layer chosen at the first call"

    def __init__(
        self,
        model: keras.Model,
        layer: Any = None,
        target: Any = None,
        labels: Sequence[str] | None = None,
        normalize: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(model, name=name)
        address, labels = _checked_address(model, layer), _checked_labels(labels)
        self._settings = _Settings(address, target, labels, normalize)
        if self._settings.address is not None and not addresses.is_held(
            model, self._settings.address
        ):
            check_called(model, self._settings.address)

    def raw_maps(self, record: Run, score: Score) -> RawMaps:
        """The method itself: from one run of the model and its score to raw maps."""
        raise NotImplementedError

    def reader(self) -> Reader | None:
        """What looks at each layer before it is called; see `probe.run.run`."""
        return None

    @property
    def parameters(self) -> dict[str, Any]:
        """The settings that an `Explanation` records."""
        return {"normalize": self._settings.normalize}

    @property
    def address(self) -> str | None:
        """The address that was asked for, None when the layer is chosen by rule."""
        return self._settings.address

    @property
    def layer(self) -> Any:
        """Address of the layer that is used ("" for the input); a dict for several inputs."""
        info = self._described()
        if info is None:
            return self.address
        return maps.unwrap({name: raw.layer for name, raw in info.raw.items()}, info.several)

    # ----------------------------------------------------------------- Keras's verbs

    def __call__(self, inputs: Any, target: Any = None, **kwargs: Any) -> Any:
        """The maps of one batch, as NumPy arrays (as tensors inside a graph)."""
        if self.in_graph:
            return super().__call__(inputs, target=target, **kwargs)
        found, info, batch = self._evaluate(inputs, target)
        self._warn(self._diagnoses(found, info, batch))
        return maps.unwrap(maps.named(found, "map"), info.several)

    def call(self, inputs: Any, target: Any = None) -> Any:
        """The maps as tensors, inside a graph."""
        found, info = self._in_graph(inputs, target)
        return maps.unwrap(maps.named(found, "map"), info.several)

    def predict_step(self, data: Any) -> Any:
        """One batch of `predict`; `target="label"` takes the data set's labels."""
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        wants_label = isinstance(self._settings.target, str) and self._settings.target == "label"
        if wants_label and y is None:
            raise TargetError(
                "`target='label'` needs a data set of (inputs, labels). Received: inputs only."
            )
        target = y if wants_label else None
        if self.in_graph:
            return self(x, target=target)
        found, info, batch = self._evaluate(x, target, finite=False)
        spoilt = probe_inputs.spoilt_samples(batch)
        for name in info.raw:
            found[f"map/{name}"] = diagnosis.blanked(found[f"map/{name}"], spoilt)
            found[f"total/{name}"] = diagnosis.blanked(found[f"total/{name}"], spoilt)
        self._settings.seen.extend(self._diagnoses(found, info, batch))
        tensors = {n: ops.convert_to_tensor(m) for n, m in maps.named(found, "map").items()}
        return maps.unwrap(tensors, info.several)

    def explain(self, inputs: Any, target: Any = None) -> Explanation:
        """Maps with everything needed to judge them.

        Args:
            inputs: A batch in the model's own structure.
            target: What to explain; None = the explainer's default.

        Returns:
            An `Explanation`: maps, scores, targets, layer, rewritten ReLUs, diagnosis, provenance.
        """
        found, info, batch = self._evaluate(inputs, target)
        chosen = self._target(target)
        labels = self._labels(info.head)
        indices = found["index"].astype("int64") if info.has_index else None
        given = {n: compiled.as_array(x) for n, x in zip(batch.names, batch.flat, strict=True)}
        return Explanation(
            method=self.title,
            parameters=self.parameters,
            maps=maps.unwrap(maps.named(found, "map"), info.several),
            peaks=maps.unwrap(maps.named(found, "peak"), info.several),
            inputs=maps.unwrap(given, info.several),
            scores=found["score"],
            score_kind=info.score_kind,
            targets=indices,
            target_names=tuple(chosen.names(labels, indices, batch.size, info.limits)),
            predictions=found.get("output"),
            labels=None if labels is None else tuple(labels),
            layer=maps.unwrap({n: r.layer for n, r in info.raw.items()}, info.several) or None,
            resolution=maps.unwrap({n: r.resolution for n, r in info.raw.items()}, info.several),
            layer_reason="; ".join(dict.fromkeys(r.reason for r in info.raw.values() if r.reason)),
            coverage=info.coverage,
            diagnosis=tuple(self._diagnoses(found, info, batch)),
            provenance=provenance(self.model),
        )

    def predict(self, x: Any, **kwargs: Any) -> Any:
        """Keras's `predict`: maps for data of any size, with its progress bar.

        A sample that holds NaN gets a NaN map and a warning that names it; the others are done.
        """
        self._settings.seen.clear()
        found = super().predict(x, **kwargs)
        self._warn(self._settings.seen or diagnosis.of_maps(found))
        return found

    def export(self, filepath: Any, **kwargs: Any) -> Any:
        """Keras's `export`: a SavedModel that returns maps for batches of any size."""
        if "input_signature" not in kwargs:
            kwargs["input_signature"] = self._export_signature()
        return super().export(filepath, **kwargs)

    def __repr__(self) -> str:
        info = self.latest_info
        used = [] if info is None else [r for r in info.raw.values() if r.layer]
        where = "; ".join(f"{r.layer} {r.resolution}: {r.reason}" for r in used)
        where = where or self.address or self.no_layer
        return f"<{type(self).__name__} of '{self.model.name}', {where}>"

    # ----------------------------------------------------------------- inside

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        target = key.target
        watched = [x for x in keras.tree.flatten(inputs) if x is not None and self.by_tape]
        with graph.watching(watched) as tape:
            tape = tape if self.by_tape else None
            record = run(
                self.model,
                inputs,
                open_functions=self.open_functions,
                tape=tape,
                reader=self.reader(),
            )
            score = target.score(record, feeds)
        raw = self.raw_maps(record, score)
        found = {"score": score.value}
        if score.index is not None:
            found["index"] = score.index
        head = score.head
        if head is not None and len(head.output.shape) == 2:
            found["output"] = ops.cast(head.output, "float32")
        for name, one in raw.by_input.items():
            found |= self._scaled(name, one, score)
        several = len(keras.tree.flatten(inputs)) > 1
        info = Info(
            score.kind,
            score.limits,
            score.index is not None,
            {n: dataclasses.replace(r, values=None, signals={}) for n, r in raw.by_input.items()},
            raw.coverage,
            None if head is None else head.classes,
            several,
        )
        return found, info

    def _scaled(self, name: str, raw: RawMap, score: Score) -> dict[str, Any]:
        values = maps.blank(ops.cast(raw.values, "float32"), ops.isnan(score.value))
        axes = tuple(range(1, len(values.shape)))
        peak = ops.max(ops.abs(values), axis=axes)
        found = {f"signal/{signal}/{name}": tensor for signal, tensor in raw.signals.items()}
        found[f"peak/{name}"] = peak if self._settings.normalize else ops.ones_like(peak)
        if self._settings.normalize:
            values = maps.divided(values, peak)
        found[f"low/{name}"] = ops.min(values, axis=axes)
        found[f"high/{name}"] = ops.max(values, axis=axes)
        found[f"total/{name}"] = ops.sum(values, axis=axes)
        found[f"map/{name}"] = values
        return found

    def _evaluate(
        self, inputs: Any, target: Any, finite: bool = True
    ) -> tuple[dict[str, np.ndarray], Info, Any]:
        chosen = self._target(target)
        batch = self.batch(inputs, finite)
        labels = self._settings.labels
        if probe_targets.uses_labels(chosen):
            labels = self._labels(
                self._trace(probe_targets.without_labels(chosen), batch).info.head
            )
        feeds = chosen.feeds(labels, batch.size)
        tensors = [compiled.as_tensor(feed, feed.dtype.name) for feed in feeds]
        trace = self.traced(_Key(chosen), batch, tensors)
        probe_targets.check_feeds(feeds, trace.info.limits, batch.size)
        found = self.evaluate_trace(trace, batch, tensors)
        return found, trace.info, batch

    def _trace(self, target: Target, batch: Any) -> Any:
        feeds = target.feeds(None, batch.size)
        return self.traced(_Key(target), batch, [compiled.spec_of(feed) for feed in feeds])

    def _in_graph(self, inputs: Any, target: Any) -> tuple[dict[str, Any], Info]:
        """The computation as part of the caller's graph, which values can not be checked in.

        A sample that holds NaN or infinity gets a NaN map, and so does one whose class comes in a
        tensor and is none of the output's.
        """
        chosen = self._target(target)
        size = self._size_in_graph(inputs)
        feeds = chosen.feeds(self._labels_in_graph(chosen), size)
        vectors = [*map(ops.convert_to_tensor, feeds)]
        found, info, tensors = self.computed_in_graph(_Key(chosen), inputs, vectors)
        self._labels(info.head)
        probe_targets.check_feeds(feeds, info.limits, size)
        usable = [graph.finite_samples(x) for x in tensors if x.dtype.is_floating]
        return maps.kept_where(usable, found), info

    def _labels_in_graph(self, chosen: Target) -> Sequence[str] | None:
        if self._settings.labels is not None or not probe_targets.uses_labels(chosen):
            return self._settings.labels
        info = self._described_by(chosen)
        return None if info is None else self._labels(info.head)

    def _size_in_graph(self, inputs: Any) -> int:
        """The number of samples where it is known and all of them are here, else 1."""
        first = next((x for x in keras.tree.flatten(inputs) if x is not None), None)
        alone = self.distribute_strategy.num_replicas_in_sync == 1
        shape = getattr(first, "shape", None) if alone else None
        return (shape[0] if shape else None) or 1

    def _target(self, target: Any) -> Target:
        if target is None:
            target = self._settings.target
            target = None if isinstance(target, str) and target == "label" else target
        elif getattr(getattr(target, "dtype", None), "kind", "O") in "iufb" or ops.is_tensor(
            target
        ):
            target = probe_targets.class_vector(target)
        return probe_targets.to_target(target)

    def _labels(self, classes: int | None) -> Sequence[str] | None:
        if self._settings.labels is not None:
            if classes not in (None, len(self._settings.labels)):
                raise TargetError(
                    f"`labels` must hold one name per class ({classes}). "
                    f"Received: {len(self._settings.labels)} names."
                )
            return self._settings.labels
        return usual_labels(classes)

    def _described(self) -> Info | None:
        info = self.latest_info
        return info if info is not None else self._described_by(self._target(None))

    def _described_by(self, target: Target) -> Info | None:
        """What tracing with a target teaches; None where the inputs are not known."""
        chosen = probe_targets.without_labels(target)
        return self.info(_Key(chosen), [compiled.spec_of(f) for f in chosen.feeds(None, 1)])

    def _diagnoses(self, found: Mapping[str, np.ndarray], info: Info, batch: Any) -> list[str]:
        return diagnosis.of_explanation(self.model, found, list(info.raw), info.score_kind, batch)

    def _warn(self, diagnoses: Sequence[str]) -> None:
        bad = [(i, text) for i, text in enumerate(diagnoses) if text]
        if bad:
            warnings.warn(
                f"{self.title}: {len(bad)} of {len(diagnoses)} maps are not usable. "
                f"Sample {bad[0][0]}: {bad[0][1]}",
                KerasvizWarning,
                stacklevel=3,
            )

    def _export_signature(self) -> Any:
        placeholders = probe_inputs.placeholders(self.model)
        if placeholders is None:
            raise InputError(
                f"`export` needs to know what '{self.model.name}' takes. Received: a model that "
                "does not say. Pass `input_signature=[keras.InputSpec(...)]`."
            )
        flat = keras.tree.map_structure(
            lambda p: keras.InputSpec(shape=tuple(p.shape), dtype=p.dtype.name), placeholders
        )
        return [flat]


@dataclasses.dataclass(frozen=True)
class _Key:
    """Identifies a traced computation by its target's structure; the target itself rides along."""

    target: Target

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.target.key == other.target.key

    def __hash__(self) -> int:
        return hash(self.target.key)


@dataclasses.dataclass(frozen=True, eq=False)
class _Settings:
    """Kept in one object, so that Keras's attribute tracking leaves the values as they are."""

    address: str | None
    target: Any
    labels: Sequence[str] | None
    normalize: bool
    seen: list[str] = dataclasses.field(default_factory=list)


def _checked_address(model: keras.Model, layer: Any) -> str | None:
    return None if layer is None else addresses.to_address(model, layer)


def _checked_labels(labels: Any) -> Sequence[str] | None:
    if labels is None:
        return None
    names = [] if isinstance(labels, str) or not isinstance(labels, Iterable) else list(labels)
    if not names or not all(isinstance(name, str) for name in names):
        raise TargetError(
            f"`labels` must be a sequence of names, one per class. Received: {labels!r}."
        )
    return tuple(names)


def no_dependence(what: str) -> MethodError:
    """The error for a score that does not depend on what it is differentiated by."""
    return MethodError(
        f"Expected a score that depends on {what} by differentiable steps. Received: no gradient. "
        "Integer inputs have none: pass `layer=` the address of the embedding. A layer after the "
        "explained output has none: see `kv.layers(model)`."
    )
