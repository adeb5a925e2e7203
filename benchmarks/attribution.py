"""kerasviz, tf-keras-vis and the same mathematics by hand in one `tf.function`, in one run.

    python benchmarks/attribution.py [--models MobileNetV2 ResNet50] [--batches 1 8 32]
    python benchmarks/attribution.py --part one-shot       # first answer in new processes
    python benchmarks/attribution.py --part memory         # 1,000 calls with changing batch sizes
    python benchmarks/attribution.py --part import         # import and --help

Every figure is a ratio of medians of interleaved calls, or stands beside what it is compared to.
Weights are random (the arithmetic is the same), so no download is needed.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ONE_SHOT = """
import os, time, sys, warnings
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.simplefilter("ignore")
import keras, numpy as np, tensorflow as tf
model = keras.applications.{model}(weights=None)
image = np.random.default_rng(0).random((1, 224, 224, 3)).astype("float32")
{imports}
start = time.perf_counter()
{code}
print(time.perf_counter() - start)
"""
PEER_IMPORTS = """
from tf_keras_vis.{module} import {name}
from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore
"""
OUR_IMPORTS = "import kerasviz as kv; kv.{name}"


def timed(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, tuple[float, float]]:
    """First-call and median steady-state seconds of each call, the steady ones taken in turn."""
    first = {name: _seconds(call) for name, call in calls.items()}
    for call in calls.values():
        call()
    steady: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            steady[name].append(_seconds(call))
    return {name: (first[name], statistics.median(steady[name])) for name in calls}


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def by_hand(model: Any) -> tuple[Any, Any, Any]:
    """Forward pass, saliency and Grad-CAM of a functional model, each as one `tf.function`."""
    import keras
    import tensorflow as tf

    conv = [layer for layer in model.layers if len(layer.output.shape) == 4][-1]
    trunk = keras.Model(model.inputs, [conv.output, model.layers[-2].output])
    dense = model.layers[-1]
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)]

    def logits(features: Any) -> Any:
        return features @ dense.kernel + dense.bias

    @tf.function(input_signature=signature)
    def forward(x: Any) -> Any:
        return model(x, training=False)

    @tf.function(input_signature=signature)
    def saliency(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = tf.reduce_max(logits(trunk(x, training=False)[1]), axis=1)
        values = tf.reduce_max(tf.abs(tape.gradient(score, x)), axis=-1)
        return values / tf.reduce_max(values, axis=(1, 2), keepdims=True)

    @tf.function(input_signature=signature)
    def grad_cam(x: Any) -> Any:
        features, _ = trunk(x, training=False)
        with tf.GradientTape() as tape:
            tape.watch(features)
            score = tf.reduce_max(logits(tf.reduce_mean(features, axis=(1, 2))), axis=1)
        weights = tf.reduce_mean(tape.gradient(score, features), axis=(1, 2))
        maps = tf.nn.relu(tf.einsum("bhwk,bk->bhw", features, weights))
        maps = tf.image.resize(maps[..., None], x.shape[1:3])[..., 0]
        return maps / tf.reduce_max(maps, axis=(1, 2), keepdims=True)

    return forward, saliency, grad_cam


def steady(models: list[str], batches: list[int], repeats: int) -> None:
    """Steady-state ratios."""
    import keras
    import numpy as np
    import tensorflow as tf
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.saliency import Saliency as PeerSaliency
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    import kerasviz as kv

    print(
        "model        batch | saliency s: ours   hand   peer | ours/hand peer/hand |"
        " Grad-CAM s: ours  forward  peer | ours/fwd peer/fwd | first s: ours-sal ours-cam"
    )
    for name in models:
        model = getattr(keras.applications, name)(weights=None)
        forward, hand_saliency, hand_cam = by_hand(model)
        ours, cam = kv.Saliency(model), kv.GradCAM(model)
        peer = PeerSaliency(model, model_modifier=ReplaceToLinear(), clone=True)
        peer_cam = Gradcam(model, model_modifier=ReplaceToLinear(), clone=True)
        for size in batches:
            x = np.random.default_rng(0).random((size, *model.input_shape[1:])).astype("float32")
            tensor = tf.constant(x)
            score = CategoricalScore([3] * size)
            times = timed(
                {
                    "ours": lambda x=x: ours(x),
                    "hand": lambda t=tensor: hand_saliency(t).numpy(),
                    "cam": lambda x=x: cam(x),
                    "hand cam": lambda t=tensor: hand_cam(t).numpy(),
                    "forward": lambda t=tensor: forward(t).numpy(),
                    "peer": lambda x=x, s=score: peer(s, x),
                    "peer cam": lambda x=x, s=score: peer_cam(s, x, penultimate_layer=-1),
                },
                max(3, repeats // max(1, size // 4)),
            )
            s = {key: value[1] for key, value in times.items()}
            print(
                f"{name:12} {size:5} | {s['ours']:.4f} {s['hand']:.4f} {s['peer']:.4f} |"
                f" {s['ours'] / s['hand']:.3f} {s['peer'] / s['hand']:.2f} |"
                f" {s['cam']:.4f} {s['forward']:.4f} {s['peer cam']:.4f} |"
                f" {s['cam'] / s['forward']:.3f} {s['peer cam'] / s['forward']:.2f} |"
                f" {times['ours'][0]:.2f} {times['cam'][0]:.2f}",
                flush=True,
            )


def one_shot(models: list[str], repeats: int) -> None:
    """First answer in a new process, ours and the peer's in turn."""
    pairs = {
        "Grad-CAM": (
            ("GradCAM", "kv.GradCAM(model)(image, target=3)"),
            (
                "gradcam",
                "Gradcam",
                "Gradcam(model, model_modifier=ReplaceToLinear(), clone=True)"
                "(CategoricalScore(3), image, penultimate_layer=-1)",
            ),
        ),
        "Saliency": (
            ("Saliency", "kv.Saliency(model)(image, target=3)"),
            (
                "saliency",
                "Saliency",
                "Saliency(model, model_modifier=ReplaceToLinear(), clone=True)"
                "(CategoricalScore(3), image)",
            ),
        ),
    }
    for name in models:
        for method, ((our_name, our_code), (module, peer_name, peer_code)) in pairs.items():
            times: dict[str, list[float]] = {"ours": [], "peer": []}
            for _ in range(repeats):
                imports = OUR_IMPORTS.format(name=our_name)
                times["ours"].append(_process(name, imports, our_code))
                imports = PEER_IMPORTS.format(module=module, name=peer_name)
                times["peer"].append(_process(name, imports, peer_code))
            ours, peer = (statistics.median(times[key]) for key in ("ours", "peer"))
            print(
                f"one-shot {name} {method}: ours {ours:.2f} s, peer {peer:.2f} s, "
                f"ratio {ours / peer:.2f}",
                flush=True,
            )


def _process(model: str, imports: str, code: str) -> float:
    script = ONE_SHOT.format(model=model, imports=imports, code=code)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return float(run.stdout.split()[-1])


def memory(calls: int) -> None:
    """Resident memory and traces over many calls with changing batch sizes."""
    import keras
    import numpy as np

    import kerasviz as kv

    model = keras.applications.MobileNetV2(weights=None, input_shape=(96, 96, 3))
    cam = kv.GradCAM(model)
    images = np.random.default_rng(0).random((4, 96, 96, 3)).astype("float32")
    for call in range(calls):
        cam(images[: 1 + call % 4])
        if call in (99, calls - 1):
            gc.collect()
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"after {call + 1} calls: peak {peak:.0f} MiB, {cam.num_traces} trace(s)")


def imports() -> None:
    """`import kerasviz` and `kerasviz --help`, as whole processes beside Python itself."""
    commands = {
        "python": [sys.executable, "-c", "pass"],
        "import kerasviz": [sys.executable, "-c", "import kerasviz"],
        "kerasviz --help": [sys.executable, "-m", "kerasviz", "--help"],
    }
    for name, command in commands.items():
        times = [
            _seconds(lambda c=command: subprocess.run(c, capture_output=True, check=True))
            for _ in range(7)
        ]
        print(f"{name}: {statistics.median(times):.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["MobileNetV2", "ResNet50"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--part", choices=["steady", "one-shot", "memory", "import"])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.part in (None, "import"):
        imports()
    if options.part in (None, "one-shot"):
        one_shot(options.models, max(3, options.repeats // 3))
    if options.part in (None, "memory"):
        memory(1000)
    if options.part in (None, "steady"):
        steady(options.models, options.batches, options.repeats)


if __name__ == "__main__":
    main()
