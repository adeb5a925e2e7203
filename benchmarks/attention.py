"""The dense impact simulator, the same by hand, and its parts alone, in one run.

    python benchmarks/attention.py [--size 50] [--depth 11] [--seeds 8] [--rounds 3]

By hand means: one `tf.function` a network that draws every layer's kernel and bias as
`keras.initializers.RandomNormal` does and multiplies, without attention; "with attention" draws
and applies that too. Both are compared with kerasviz running one network, and with kerasviz
running the pair with and without attention on the same kernels. The draws alone and the products
alone, with all kernels given, show where the time goes. All take turns, seed by seed; ratios are
medians over pairs of the same turn, of processor time, which other programs disturb least.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

HAND, DRAWS, PRODUCTS = "by hand, without attention", "draws alone", "products alone"


def by_hand(size: int, depth: int, attention: bool) -> Callable[[int], Any]:
    """The network as one would write it for these settings only."""
    import tensorflow as tf

    units = size**2

    def normal(shape: Any, seed: Any, mean: float, std: float) -> Any:
        return tf.random.stateless_normal(shape, tf.stack([seed, 0]), mean, std)

    @tf.function
    def network(first: Any) -> Any:
        x = tf.ones((1, units))
        for layer in tf.range(depth):
            seed = first + 5 * layer
            kernel = normal((units, units), seed, 0.0, 0.05)
            x = tf.nn.relu(x @ kernel + normal((units,), seed + 1, 0.0, 0.05))
            if attention:
                multiplier = normal((units,), seed + 2, 1.071, 0.253)
                x = tf.nn.relu(x * multiplier + normal((units,), seed + 3, 0.114, 0.181))
        return tf.reduce_mean(x)

    return lambda seed: float(network(tf.constant(5000 * seed)))


def draws_alone(size: int, depth: int) -> Callable[[int], Any]:
    """The kernels, drawn and thrown away."""
    import tensorflow as tf

    @tf.function
    def network(first: Any) -> Any:
        total = tf.zeros(())
        for layer in tf.range(depth):
            seed = tf.stack([first + 5 * layer, 0])
            total += tf.random.stateless_normal((size**2, size**2), seed, 0.0, 0.05)[0, 0]
        return total

    return lambda seed: float(network(tf.constant(5000 * seed)))


def products_alone(size: int, depth: int) -> Callable[[int], Any]:
    """The products and ReLUs on one kernel that is there already."""
    import tensorflow as tf

    kernel = tf.random.stateless_normal((size**2, size**2), [0, 0], 0.0, 0.05)

    @tf.function
    def network(x: Any) -> Any:
        for _ in tf.range(depth):
            x = tf.nn.relu(x @ kernel)
        return tf.reduce_mean(x)

    return lambda seed: float(network(tf.ones((1, size**2))))


def simulator(size: int, depth: int, **settings: Any) -> Callable[[int], Any]:
    """kerasviz, closed form and pictures included."""
    import kerasviz as kv

    return lambda seed: (
        kv.attention.simulate_dense(
            depth=depth, size=size, seeds=[seed], verbose=0, **settings
        ).mean
    )


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=50)
    parser.add_argument("--depth", type=int, default=11)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    shape = (options.size, options.depth)
    runs = {
        HAND: by_hand(*shape, attention=False),
        "by hand, with attention": by_hand(*shape, attention=True),
        "kerasviz, without attention": simulator(*shape, attention=False),
        "kerasviz, with attention": simulator(*shape, baseline=False),
        "kerasviz, both on the same kernels": simulator(*shape),
        DRAWS: draws_alone(*shape),
        PRODUCTS: products_alone(*shape),
    }
    for run in runs.values():
        run(0)
    wall: dict[str, list[float]] = {name: [] for name in runs}
    used: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for seed in range(options.seeds):
            for name, run in runs.items():
                start, before = time.perf_counter(), time.process_time()
                run(seed)
                wall[name].append(time.perf_counter() - start)
                used[name].append(time.process_time() - before)
    print(f"{options.depth} layers of {options.size} x {options.size}, a network of one seed")
    for name in runs:
        print(
            f"{name:35} {1000 * min(wall[name]):7.0f} ms at best; processor time: "
            f"{paired(used, name, HAND):5.2f} x by hand, {paired(used, name, DRAWS):5.2f} x draws, "
            f"{paired(used, name, PRODUCTS):6.1f} x products"
        )


def paired(seconds: dict[str, list[float]], name: str, other: str) -> float:
    """Median ratio over pairs."""
    return statistics.median(a / b for a, b in zip(seconds[name], seconds[other], strict=True))


if __name__ == "__main__":
    main()
