"""The methods by the names they have on the command line, and running them over many images."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

import kerasviz
from kerasviz.cli.saved_models import expect_layers
from kerasviz.errors import InputError, MethodError, RewriteError
from kerasviz.probe.attention import has_attention

if TYPE_CHECKING:
    from kerasviz import Explanation

METHODS = {
    "grad-cam": "GradCAM",
    "cam": "CAM",
    "saliency": "Saliency",
    "guided-saliency": "GuidedSaliency",
    "deconvnet": "DeconvNet",
    "attention-rollout": "AttentionRollout",
}
_NEEDS_ATTENTION = ("attention-rollout",)
_NEEDS_NO_LAYERS = ("saliency",)
_IMAGES_AT_ONCE = 16


@dataclass(frozen=True)
class Request:
    """A method to run.

    Args:
        method: One of `METHODS`.
        asked: Whether the user named it, so that a refusal is an error and not a remark.
        layer: Address of the layer it uses, or None.
    """

    method: str
    asked: bool
    layer: str | None = None


def choose_methods(names: Sequence[str], layer: str | None) -> list[Request]:
    """Turn the values of `--method` and `--layer` into what to run.

    Args:
        names: Methods as named; none of them for all that fit the model (attention rollout only
            where it has attention layers).
        layer: An address for each of the named methods; without names, for Grad-CAM.

    Returns:
        One request a method, in the order named, without repetitions.

    Raises:
        InputError: There is no such method.
    """
    for name in names:
        if name not in METHODS:
            closest = difflib.get_close_matches(name, METHODS, n=1)
            hint = f" Closest: {closest[0]}." if closest else ""
            raise InputError(
                f"`--method` must be one of {', '.join(METHODS)}. Received: {name!r}.{hint}"
            )
    if names:
        return [Request(name, True, layer) for name in dict.fromkeys(names)]
    return [Request(name, False, layer if name == "grad-cam" else None) for name in METHODS]


def run_methods(
    model: keras.Model,
    requests: Sequence[Request],
    inputs: NDArray[np.float32],
    targets: Sequence[int] | None,
    labels: Sequence[str] | None,
    step: Callable[..., Any],
) -> tuple[dict[str, Explanation], dict[str, str]]:
    """Run each method over all images.

    Args:
        model: The model.
        requests: What to run.
        inputs: `(n, ...)` in the model's own shape.
        targets: One class an image, or None for the predicted ones.
        labels: Class names, or None.
        step: `Steps.step`, to show how far it is.

    Returns:
        The explanations by method, and the reason of each method that was left out.

    Raises:
        MethodError: A method that was asked for makes no sense for the model, or none does.
        KerasvizError: Whatever else the engine refuses.
    """
    explainers, skipped = _explainers(model, requests, labels)
    explanations = {}
    for name, explainer in explainers.items():
        try:
            explanations[name] = _explain(name, explainer, inputs, targets, step)
        except (MethodError, RewriteError) as error:
            if any(request.asked for request in requests):
                raise
            skipped[name] = str(error)
    if not explanations:
        reasons = " ".join(f"{name}: {reason}" for name, reason in skipped.items())
        raise MethodError(f"Expected a model that a method fits. {reasons}")
    return explanations, skipped


def _explainers(
    model: keras.Model, requests: Sequence[Request], labels: Sequence[str] | None
) -> tuple[dict[str, Any], dict[str, str]]:
    explainers, skipped = {}, {}
    for request in requests:
        if request.method in _NEEDS_ATTENTION and not (request.asked or has_attention(model)):
            continue
        try:
            explainers[request.method] = _explainer(model, request, labels)
        except (MethodError, RewriteError) as error:
            if request.asked:
                raise
            skipped[request.method] = str(error)
    return explainers, skipped


def _explainer(model: keras.Model, request: Request, labels: Sequence[str] | None) -> Any:
    if request.method not in _NEEDS_NO_LAYERS:
        expect_layers(model)
    build = getattr(kerasviz, METHODS[request.method])
    return build(model, layer=request.layer, labels=labels)


def _explain(
    name: str,
    explainer: Any,
    inputs: NDArray[np.float32],
    targets: Sequence[int] | None,
    step: Callable[..., Any],
) -> Explanation:
    at_once = _batch_size(explainer.model)
    starts = range(0, len(inputs), at_once)
    parts = []
    with step(f"Explaining with {name}", total=len(starts)) as advance:
        for start in starts:
            part = slice(start, start + at_once)
            target = None if targets is None else list(targets[part])
            parts.append(explainer.explain(inputs[part], target=target))
            advance()
    return _joined(parts)


def _batch_size(model: keras.Model) -> int:
    shape = getattr(model, "input_shape", None)
    fixed = shape[0] if isinstance(shape, tuple) and shape else None
    return fixed or _IMAGES_AT_ONCE


def _joined(parts: Sequence[Explanation]) -> Explanation:
    """The explanations of consecutive images as one."""
    if len(parts) == 1:
        return parts[0]
    arrays = ("maps", "peaks", "inputs", "scores", "targets", "predictions")
    joined: dict[str, Any] = {
        name: _concatenated([getattr(part, name) for part in parts]) for name in arrays
    }
    for name in ("target_names", "diagnosis"):
        joined[name] = sum((getattr(part, name) for part in parts), ())
    return dataclasses.replace(parts[0], **joined)


def _concatenated(values: Sequence[Any]) -> Any:
    return None if values[0] is None else np.concatenate(values)
