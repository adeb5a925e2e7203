"""Pictures that excite what one asks for, by gradient ascent on the input."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError, MethodError, RewriteError
from kerasviz.features.canvas import Canvas
from kerasviz.features.images.base import Image
from kerasviz.features.images.value_range import to_value_range
from kerasviz.features.objectives.base import Objective, Photos, Scene, common_count, features_of
from kerasviz.features.objectives.shorthand import to_objective
from kerasviz.features.presets import preset as named_preset
from kerasviz.features.regularizing import to_regularizers
from kerasviz.features.transforms.standard import to_transforms
from kerasviz.features.visualization import Visualization
from kerasviz.probe import inputs as probe_inputs
from kerasviz.probe.backend import graph
from kerasviz.probe.backend.loop import Loop
from kerasviz.probe.backend.sampling import Draws
from kerasviz.probe.channels import channel_axes
from kerasviz.probe.provenance import provenance
from kerasviz.probe.run import Run, run
from kerasviz.probe.watch import Watch
from kerasviz.probe.wrapper import Wrapper
from kerasviz.samples.labels import usual_labels

ops: Any = keras.ops
STEPS_PER_EXECUTION = 16
DIRECT = "direct"
REDIRECTED = "redirected"


class ActivationMaximization(keras.Model):
    """A `keras.Model` whose weights are a picture: `fit` makes the picture excite another model.

    Args:
        model: Any built Keras 3 model; not cloned, not altered.
        target: What to look for: a class index or label; "layer:channel"; the address of a layer
            (DeepDream); a list of these, one per picture; or a value of `kv.objectives`.
        image: How the picture is spelled, a value of `kv.images`; None: the preset's.
        transforms: What is done to the picture before each step, of `kv.transforms`; None: the
            preset's; () for none.
        regularizers: Objectives, or tf-keras-vis regularizers, to subtract; None: the preset's.
        num_images: Pictures drawn side by side; None: as many as the target speaks of.
        value_range: What the model takes for black and white: (low, high), "0..1", "-1..1",
            "0..255", "keras.applications.resnet50" or a `kv.images.ValueRange`; None: as the
            model's first layer, name or kind tells.
        preset: "lucid" or "keras-vis": all the settings that are not given.
        redirected_steps: For so many steps, and on while a picture does not change its value, a
            ReLU that is shut for a whole picture lets the gradient through that would open it;
            None: the preset's (16); 0: never.
        constants: Inputs that are not drawn, by name: arrays of one row, or one per picture.
        labels: Class names. None: ImageNet's, when the output has 1000 units.
        seed: The same seed gives the same pictures.
        name: Optional Keras name.

    Call arguments:
        steps: Number of gradient steps; None: the preset's (512).
        start: Pictures to start from, as the call returns them; None: noise from the seed.
        callbacks: Keras callbacks.
        verbose: Keras's progress bar: "auto", 0, 1 or 2.

    Returns:
        The pictures (num_images, *positions, channels) float32, in the model's own range and
        layout; for a model with several drawn inputs a dict input name → pictures.

    Raises:
        AddressError: No such layer, channel or position.
        InputError: Settings that do not fit the model, or each other.
        TargetError: The outputs cannot answer the target.
        MethodError: The objective gives no gradient, or became NaN.

    Reference:
        Erhan et al., "Visualizing Higher-Layer Features of a Deep Network", 2009; Olah, Mordvintsev
        and Schubert, "Feature Visualization", Distill 2017.

    Example:

    ```python
    picture = kv.ActivationMaximization(model, "block_13/expand:112")(steps=512)
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        target: Any = None,
        image: Image | None = None,
        transforms: Any = None,
        regularizers: Any = None,
        num_images: int | None = None,
        value_range: Any = None,
        preset: str = "lucid",
        redirected_steps: int | None = None,
        constants: Mapping[str, Any] | None = None,
        labels: Sequence[str] | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        probe_inputs.check_model(model)
        super().__init__(name=name, dtype="float32", autocast=False)
        self.built = True
        settings = named_preset(preset)
        image = settings.image if image is None else image
        objective = to_objective(model, target)
        penalty = to_regularizers(settings.regularizers if regularizers is None else regularizers)
        count = _count(num_images, [objective, *penalty])
        given = settings.transforms if transforms is None else transforms
        self._plan = _Plan(
            model=model,
            objective=objective,
            penalty=penalty,
            canvases=_canvases(model, image, given, value_range, count, constants or {}),
            constants=dict(constants or {}),
            count=count,
            labels=labels,
            seed=_checked_seed(seed),
            steps=settings.steps,
            redirected_steps=(
                settings.redirected_steps if redirected_steps is None else redirected_steps
            ),
            unit_gradient=settings.unit_gradient,
            preset=preset,
            watch=Watch(model),
        )
        self._progress = _Progress()
        self._make_weights()
        self.compile(optimizer=settings.optimizer(image.learning_rate))
        self.reset()

    # ----------------------------------------------------------------- the verbs

    def __call__(
        self,
        steps: int | None = None,
        start: Any = None,
        callbacks: Sequence[Any] | None = None,
        verbose: Any = "auto",
    ) -> Any:
        """Draw from the start: `reset`, `fit`, and the pictures."""
        self.reset(start)
        self.fit(steps, callbacks=callbacks, verbose=verbose)
        return self.pictures()

    def compile(self, optimizer: Any = "adam", **kwargs: Any) -> None:
        """Keras's `compile`: any optimizer; `steps_per_execution` steps run in one compiled call.

        Args:
            optimizer: A Keras optimizer, or its name. It minimizes minus the objective.
            **kwargs: As Keras takes them; a loss or metrics have no meaning here.
        """
        kwargs.setdefault("steps_per_execution", STEPS_PER_EXECUTION)
        kwargs.setdefault("jit_compile", False)
        super().compile(optimizer=optimizer, **kwargs)
        self.optimizer.build(self.trainable_weights)
        self._progress.restart(self.optimizer)

    def fit(
        self,
        steps: int | None = None,
        callbacks: Sequence[Any] | None = None,
        verbose: Any = "auto",
        **kwargs: Any,
    ) -> Any:
        """Go on from the present pictures, with Keras's progress bar and callbacks.

        Callbacks see the objective's mean as `logs["objective"]` after every `steps_per_execution`
        steps, and the pictures so far by `self.model.pictures()`.

        Args:
            steps: Number of gradient steps; None: the preset's.
            callbacks: Keras callbacks.
            verbose: "auto", 0, 1 or 2.
            **kwargs: As Keras's `fit` takes them.

        Returns:
            Keras's `History`; the objective at every step is in `trajectory`.
        """
        steps = self._plan.steps if steps is None else steps
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise InputError(f"`steps` must be a whole number from 1 on. Received: {steps!r}.")
        if kwargs.get("epochs", 1) != 1:
            raise InputError(
                "`epochs` has no meaning here, as a run is a number of steps. "
                f"Received: {kwargs['epochs']!r}. Pass `steps`."
            )
        self._progress.remaining = steps
        self._plan.refresh()
        ticks = np.zeros((steps, 1), "float32")
        return super().fit(
            ticks, batch_size=1, shuffle=False, callbacks=callbacks, verbose=verbose, **kwargs
        )

    def reset(self, start: Any = None) -> None:
        """Begin anew: the noise of the seed, or given pictures, and a fresh optimizer.

        Args:
            start: Pictures as the call returns them; None: noise.
        """
        if _several(start):
            _check_names(start, [canvas.slot.name for canvas in self._plan.canvases])
        for index, canvas in enumerate(self._plan.canvases):
            if start is None:
                values = canvas.initial_values(self._plan.seed, index)
            else:
                values = canvas.values_from(start[canvas.slot.name] if _several(start) else start)
            for name, value in values.items():
                self._variable(canvas, name).assign(value)
        self._progress.begin(self.optimizer)
        self._step.assign(0)

    def pictures(self) -> Any:
        """The pictures as they are now: (num_images, *positions, channels) in the model's range."""
        found = {c.slot.name: c.finished(self._read(c))[0] for c in self._plan.canvases}
        return found if len(found) > 1 else next(iter(found.values()))

    def display(self) -> Any:
        """The pictures as they are now for the eye: [0, 1], RGB, channels last; with a fourth
        channel of opacity where the image has one."""
        found = {}
        for canvas in self._plan.canvases:
            pictures, opacity = canvas.render(self._read(canvas))
            shown = np.clip(ops.convert_to_numpy(pictures), 0.0, 1.0)
            if opacity is not None:
                shown = np.concatenate([shown, ops.convert_to_numpy(opacity)], axis=-1)
            found[canvas.slot.name] = shown
        return found if len(found) > 1 else next(iter(found.values()))

    def values(self) -> np.ndarray:
        """(num_images,) the objective of the pictures as they are now, without transforms and
        without regularizers; transparent ones over grey."""
        if self._progress.evaluator is None:
            self._progress.evaluator = _ObjectiveOf(self._plan)
        return self._progress.evaluator.of(*self._inputs_now())

    def visualize(
        self,
        steps: int | None = None,
        start: Any = None,
        callbacks: Sequence[Any] | None = None,
        verbose: Any = "auto",
    ) -> Visualization:
        """The call's pictures with everything needed to judge and to repeat them."""
        pictures = _first(self(steps, start, callbacks, verbose))
        return Visualization(
            pictures=pictures,
            display=_first(self.display()),
            values=self.values(),
            history=self.trajectory,
            names=self._names(),
            parameters=self._parameters(),
            provenance=provenance(self._plan.model),
        )

    @property
    def grey(self) -> np.ndarray:
        """(1, …) a picture of middle grey, as the model takes the first input that is drawn."""
        canvas = self._plan.canvases[0]
        shape = (1, *canvas.shape[1:-1], canvas.channels)
        return ops.convert_to_numpy(canvas.to_input(ops.full(shape, 0.5)))

    @property
    def trajectory(self) -> np.ndarray:
        """(steps, num_images): the objective with regularizers at each step so far."""
        parts = self._progress.values
        return np.concatenate(parts) if parts else np.zeros((0, self._plan.count), "float32")

    @property
    def coverage(self) -> str:
        """What was done about dead ReLUs, "" before the first step."""
        return self._progress.coverage

    def __repr__(self) -> str:
        plan = self._plan
        shapes = ", ".join("×".join(map(str, canvas.shape)) for canvas in plan.canvases)
        ranges = "; ".join(str(canvas.value_range) for canvas in plan.canvases)
        return (
            f"<{type(self).__name__} of {plan.objective} in '{plan.model.name}', {shapes}, "
            f"range {ranges}>"
        )

    # ----------------------------------------------------------------- Keras's hooks

    def make_train_function(self, force: bool = False) -> Any:
        """Keras's hook: one execution is one call of the compiled loop."""
        self.train_function = self._execute
        return self.train_function

    def _execute(self, iterator: Any) -> dict[str, float]:
        if self._plan.watch.changed():
            self._progress.loops = {}
        count = min(int(self.steps_per_execution), self._progress.remaining)
        first = min(count, self._redirected_left())
        before = [ops.convert_to_numpy(weight) for weight in self.trainable_weights]
        for rule, share in ((REDIRECTED, first), (DIRECT, count - first)):
            if share:
                self._progress.values.append(self._loop(rule)(share))
        self._progress.remaining -= count
        self._check_finite(before)
        return {"objective": float(self._progress.values[-1][-1].mean())}

    def _redirected_left(self) -> int:
        """For how many more steps dead ReLUs let gradient through: on while a picture is stuck."""
        asked, values = self._plan.redirected_steps, self._progress.values
        stuck = bool(values) and bool((np.ptp(values[-1], axis=0) == 0).any())
        return max(asked - int(self._step), int(self.steps_per_execution) if stuck and asked else 0)

    def _check_finite(self, before: Sequence[np.ndarray]) -> None:
        spoilt = [
            w for w in self.trainable_weights if not np.isfinite(ops.convert_to_numpy(w)).all()
        ]
        if not spoilt and np.isfinite(self._progress.values[-1]).all():
            return
        for weight, value in zip(self.trainable_weights, before, strict=True):
            weight.assign(value)
        self._progress.values.pop()
        raise MethodError(
            f"Expected an objective that stays finite. Received: NaN or infinity within the first "
            f"{int(self._step)} steps of {self._plan.objective}. The pictures before are kept. "
            "Look for NaN in the model's weights, or lower the learning rate."
        )

    # ----------------------------------------------------------------- inside

    def _loop(self, rule: str) -> Loop:
        if rule not in self._progress.loops:
            self._progress.loops[rule] = Loop(lambda: self._one_step(rule), self._plan.count)
        return self._progress.loops[rule]

    def _one_step(self, rule: str) -> Any:
        plan = self._plan
        draws = Draws(plan.seed, self._step)
        weights = {c.slot.name: self._read(c) for c in plan.canvases}
        pictures, opacities, shown = {}, [], {}
        for canvas in plan.canvases:
            name = canvas.slot.name
            pictures[name], opacity = canvas.render(weights[name])
            opacities += [] if opacity is None else [_mean(opacity)]
            shown[name] = canvas.shown(pictures[name], opacity, draws)
        record = run(plan.model, plan.packed(shown))
        inputs = {c.slot.name: c.to_input(pictures[c.slot.name]) for c in plan.canvases}
        opacity = sum(opacities) / len(opacities) if opacities else None
        scene = plan.scene(record, pictures, inputs, opacity)
        read = [value for by_name in weights.values() for value in by_name.values()]
        values = _per_picture(plan.objective, scene)
        if plan.penalty:
            self._check_gradient(record.gradients(values, read))
            values = values - sum(_per_picture(one, scene) for one in plan.penalty)
        gradients = self._gradients(record, values, read, rule)
        self.optimizer.apply([-gradient for gradient in gradients], self._drawn())
        self._step.assign_add(1)
        return values

    def _gradients(self, record: Run, values: Any, read: Sequence[Any], rule: str) -> list[Any]:
        found = self._redirected(record, values, read) if rule == REDIRECTED else None
        found = record.gradients(values, read) if found is None else found
        self._check_gradient(found)
        filled = [
            ops.zeros_like(x) if gradient is None else gradient
            for gradient, x in zip(found, read, strict=True)
        ]
        return [_unit(g) for g in filled] if self._plan.unit_gradient else filled

    def _check_gradient(self, found: Sequence[Any]) -> None:
        if all(gradient is None for gradient in found):
            raise MethodError(
                "Expected an objective that depends on the picture by differentiable steps. "
                f"Received: {self._plan.objective}, which gives no gradient. Choose a layer after "
                "the input whose output is not made of whole numbers."
            )

    def _redirected(self, record: Run, values: Any, read: Sequence[Any]) -> list[Any] | None:
        """The gradient with dead ReLUs let through; None where some are out of reach."""
        try:
            found, coverage = record.ruled_gradients(values, read, "redirected", required=False)
        except RewriteError as error:
            self._progress.coverage = f"dead ReLU left as they are: {error}"
            return None
        self._progress.coverage = str(coverage)
        return found

    def _make_weights(self) -> None:
        for index, canvas in enumerate(self._plan.canvases):
            for name, value in canvas.initial_values(self._plan.seed, index).items():
                self._progress.variables[canvas.slot.name, name] = self.add_weight(
                    shape=value.shape, initializer="zeros", name=f"{canvas.slot.name}_{name}"
                )
        self._step = self.add_weight(
            shape=(), initializer="zeros", dtype="int32", trainable=False, name="step"
        )

    def _variable(self, canvas: Canvas, name: str) -> Any:
        return self._progress.variables[canvas.slot.name, name]

    def _read(self, canvas: Canvas) -> dict[str, Any]:
        return {
            name: graph.identity(variable.value)
            for (slot, name), variable in self._progress.variables.items()
            if slot == canvas.slot.name
        }

    def _drawn(self) -> list[Any]:
        return list(self._progress.variables.values())

    def _inputs_now(self) -> tuple[Any, np.ndarray]:
        """The pictures as the model takes them, and the mean opacity of each."""
        found = {c.slot.name: c.finished(self._read(c)) for c in self._plan.canvases}
        opacities = [
            o.reshape(len(o), -1).mean(axis=-1) for _, o in found.values() if o is not None
        ]
        opacity = np.mean(opacities, axis=0) if opacities else np.ones(self._plan.count)
        inputs = self._plan.packed({name: pictures for name, (pictures, _) in found.items()})
        return inputs, opacity.astype("float32")

    def _names(self) -> tuple[str, ...]:
        described = self._plan.objective.description
        return self._plan.objective.names or (described,) * self._plan.count

    def _parameters(self) -> dict[str, Any]:
        plan = self._plan
        canvas = plan.canvases[0]
        return {
            "objective": str(plan.objective),
            "regularizers": [str(one) for one in plan.penalty],
            "image": str(canvas.image),
            "transforms": [str(one) for one in canvas.transforms],
            "value_range": str(canvas.value_range),
            "optimizer": type(self.optimizer).__name__,
            "learning_rate": float(ops.convert_to_numpy(self.optimizer.learning_rate)),
            "steps": len(self.trajectory),
            "redirected_steps": plan.redirected_steps,
            "preset": plan.preset,
            "seed": plan.seed,
        }


@dataclasses.dataclass(frozen=True, eq=False)
class _Plan:
    """What is drawn, in an object that Keras does not track: the model is not one of our layers."""

    model: keras.Model
    objective: Objective
    penalty: Sequence[Objective]
    canvases: Sequence[Canvas]
    constants: Mapping[str, Any]
    count: int
    labels: Sequence[str] | None
    seed: int
    steps: int
    redirected_steps: int
    unit_gradient: bool
    preset: str
    watch: Watch
    references: dict[int, _Reference] = dataclasses.field(default_factory=dict)

    def refresh(self) -> None:
        """Ask the model, as it is now, what the photos of all objectives excite."""
        for photos in [photos for one in (self.objective, *self.penalty) for photos in one.photos]:
            if id(photos) in self.references:
                self.references[id(photos)].refresh()
            else:
                self.references[id(photos)] = _Reference(self.model, photos)

    def scene(self, record: Run, pictures: Any, inputs: Any, opacity: Any) -> Scene:
        """What the objective sees."""
        held = {key: reference.value for key, reference in self.references.items()}
        return Scene(record, self.count, pictures, inputs, opacity, self.names_of_classes, held)

    def packed(self, shown: Mapping[str, Any]) -> Any:
        """The model's inputs in its own structure, constants among them."""
        taken = probe_inputs.declared(self.model)
        flat = []
        for slot in taken.slots if taken is not None else [c.slot for c in self.canvases]:
            value = shown.get(slot.name)
            flat.append(self._constant(slot) if value is None else value)
        if taken is None:
            return flat[0]
        return keras.tree.pack_sequence_as(taken.structure, flat)

    def names_of_classes(self, units: int | None) -> Sequence[str] | None:
        """The labels given, ImageNet's for 1000 units, or None."""
        return usual_labels(units) if self.labels is None else self.labels

    def _constant(self, slot: Any) -> Any:
        value = ops.convert_to_tensor(self.constants[slot.name], dtype=slot.dtype or None)
        return ops.broadcast_to(value, (self.count, *value.shape[1:]))


class _Progress:
    """What changes while pictures are drawn, apart from the weights themselves."""

    def __init__(self) -> None:
        self.variables: dict[tuple[str, str], Any] = {}
        self.loops: dict[str, Loop] = {}
        self.values: list[np.ndarray] = []
        self.evaluator: Any = None
        self.remaining = 0
        self.coverage = ""
        self._fresh: list[np.ndarray] = []

    def restart(self, optimizer: Any) -> None:
        """A new optimizer: its compiled loops and its state are new."""
        self.loops = {}
        self._fresh = [ops.convert_to_numpy(variable) for variable in optimizer.variables]

    def begin(self, optimizer: Any) -> None:
        """Put the optimizer back to its first state and forget the trajectory."""
        for variable, value in zip(optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        self.values = []


class _Features(Wrapper):
    """Output of one layer, float32, channels last."""

    def __init__(self, model: keras.Model, layer: str) -> None:
        super().__init__(model)
        self._layer = layer

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        return {"features": features_of(run(self.model, inputs), self._layer)}, None


class _ObjectiveOf(Wrapper):
    """The objective of given inputs, without transforms and regularizers."""

    def __init__(self, plan: _Plan) -> None:
        super().__init__(plan.model)
        self._held = [plan]

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        (plan,) = self._held
        record = run(self.model, inputs)
        names = [canvas.slot.name for canvas in plan.canvases]
        shown = {name: record.input_tensors[name] for name in names}
        pictures = {c.slot.name: c.to_picture(shown[c.slot.name]) for c in plan.canvases}
        opacity = feeds[0] if plan.canvases[0].image.alpha else None
        scene = plan.scene(record, pictures, shown, opacity)
        return {"values": _per_picture(plan.objective, scene)}, None

    def of(self, inputs: Any, opacity: np.ndarray) -> np.ndarray:
        """(num_images,) the objective of these inputs, whose opacity channel had these means."""
        self._held[0].refresh()
        batch = self.batch(inputs)
        feeds = [ops.convert_to_tensor(opacity)]
        return self.evaluate_trace(self.traced("values", batch, feeds), batch, feeds)["values"]


def _per_picture(objective: Objective, scene: Scene) -> Any:
    values = ops.convert_to_tensor(objective.values(scene))
    if tuple(values.shape) == (None,):
        values = ops.reshape(values, (scene.num_images,))
    if tuple(values.shape) not in ((), (1,), (scene.num_images,)):
        raise InputError(
            f"An objective must return one value per picture ({scene.num_images}). "
            f"Received: {objective} returned shape {tuple(values.shape)}."
        )
    return ops.broadcast_to(ops.cast(values, "float32"), (scene.num_images,))


class _Reference:
    """What photos excite in a layer, as a variable: the compiled loop reads it, training the model
    between two runs may change it."""

    def __init__(self, model: keras.Model, photos: Photos) -> None:
        self._features = _Features(model, photos.layer)
        self._inputs = photos.inputs
        self.value: Any = keras.Variable(self._now(), trainable=False, dtype="float32")

    def refresh(self) -> None:
        """Run the photos through the model as it is now."""
        self.value.assign(self._now())

    def _now(self) -> np.ndarray:
        return self._features.evaluate_on("features", self._inputs)["features"]


def _canvases(
    model: keras.Model,
    image: Image,
    transforms: Any,
    value_range: Any,
    count: int,
    constants: Mapping[str, Any],
) -> list[Canvas]:
    if not isinstance(image, Image):
        raise InputError(
            f"`image` must be a value of kv.images, as `kv.images.Fourier()`. Received: {image!r}."
        )
    taken = probe_inputs.declared(model)
    if taken is None:
        raise InputError(
            f"`model` must say what it takes. Received: '{model.name}', which does not. "
            "Call `model.build(input_shape)`, or wrap it in a functional model."
        )
    unknown = sorted(set(constants) - set(taken.names))
    if unknown:
        raise InputError(
            f"`constants` must name inputs of the model, {taken.names}. Received: {unknown}."
        )
    axes = channel_axes(model)
    found = []
    for slot in taken.slots:
        if slot.name in constants:
            continue
        if slot.dtype and not keras.backend.is_float_dtype(slot.dtype):
            raise InputError(
                f"The input '{slot.name}' of '{model.name}' takes {slot.dtype}, which can't be "
                f"drawn by gradients. Pass `constants={{{slot.name!r}: array}}`."
            )
        found.append(_canvas(model, slot, image, transforms, value_range, count, axes[slot.name]))
    if not found:
        raise InputError("At least one input must be drawn. Received: constants for all of them.")
    return found


def _canvas(
    model: keras.Model,
    slot: Any,
    image: Image,
    transforms: Any,
    value_range: Any,
    count: int,
    axis: int | None,
) -> Canvas:
    declared = [length for i, length in enumerate(slot.shape) if i not in (0, axis)]
    channels = 1 if axis is None else slot.shape[axis]
    if channels is None:
        raise InputError(
            f"The input '{slot.name}' must say how many channels it has. Received: shape "
            f"{slot.shape}. Build the model with `Input((None, None, 3))`."
        )
    sizes = image.sizes(tuple(declared))
    spelled = image.for_positions(len(sizes))
    return Canvas(
        slot,
        spelled,
        (count, *sizes, channels + image.alpha),
        to_value_range(value_range, model, channels),
        axis,
        to_transforms(transforms, len(sizes)),
    )


def _count(asked: int | None, objectives: Sequence[Objective]) -> int:
    if asked is not None and (isinstance(asked, bool) or not isinstance(asked, int) or asked < 1):
        raise InputError(f"`num_images` must be a whole number from 1 on. Received: {asked!r}.")
    return common_count([asked, *(one.num_images for one in objectives)]) or 1


def _checked_seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**31:
        raise InputError(f"`seed` must be a whole number from 0 to 2**31 - 1. Received: {seed!r}.")
    return int(seed)


def _unit(gradient: Any) -> Any:
    axes = tuple(range(1, len(gradient.shape)))
    return gradient / (ops.sqrt(ops.sum(ops.square(gradient), axes, keepdims=True)) + 1e-12)


def _mean(opacity: Any) -> Any:
    return ops.mean(opacity, axis=tuple(range(1, len(opacity.shape))))


def _check_names(start: Mapping[str, Any], names: Sequence[str]) -> None:
    if set(start) != set(names):
        raise InputError(
            f"`start` must hold pictures for the inputs that are drawn, {list(names)}. "
            f"Received: {list(start)}."
        )


def _several(pictures: Any) -> bool:
    return isinstance(pictures, Mapping)


def _first(pictures: Any) -> np.ndarray:
    return next(iter(pictures.values())) if _several(pictures) else pictures
