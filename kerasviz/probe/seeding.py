"""Seeds for one model's random numbers, without touching any global generator."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError

WEIGHTS, LAYERS, COPIES = 0, 1, 2
LIMIT = 2**31 - 1


def derived(seed: int, *path: int) -> int:
    """A seed in [0, 2³¹ - 1) for one of the uses of another."""
    return int(np.random.SeedSequence((seed, *path)).generate_state(1, np.uint64)[0] % LIMIT)


class SeededInitializer(keras.initializers.Initializer):
    """An initializer whose draws one seed decides: each call draws anew, in the order of calls.

    Keras's own return the same values at each call when they are given a seed, so that layers of
    equal shape would start alike. Initializers without a seed (`Ones`, plain functions) stay as
    they are.

    Args:
        initializer: An initializer, its name, its config, or a function of shape and dtype.
        seed: Whole number from 0 on.

    Raises:
        InputError: Not an initializer.
    """

    def __init__(self, initializer: Any, seed: int) -> None:
        self.initializer = checked(initializer)
        self.seed = seed
        self.calls = 0
        self.copies = 0

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        seed = derived(self.seed, WEIGHTS, self.calls)
        self.calls += 1
        one = self.initializer
        config = one.get_config() if isinstance(one, keras.initializers.Initializer) else {}
        if "seed" in config:
            one = type(one).from_config({**config, "seed": seed})
        return one(shape, dtype=dtype, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Settings of a copy, which draws by itself.

        Layers that hold several kernels, such as attention, copy their initializer for each by its
        config; with an equal seed they would all start alike.
        """
        one = self.initializer
        is_object = isinstance(one, keras.initializers.Initializer)
        self.copies += 1
        return {
            "initializer": keras.initializers.serialize(one) if is_object else one,
            "seed": derived(self.seed, COPIES, self.copies),
        }


def checked(initializer: Any) -> Any:
    """The initializer that is meant.

    Raises:
        InputError: Not an initializer.
    """
    try:
        found = None if initializer is None else keras.initializers.get(initializer)
    except (ValueError, TypeError):
        found = None
    if found is None:
        raise InputError(
            "Expected an initializer, its name, or a function of shape and dtype. "
            f"Received: {initializer!r}. See `keras.initializers`."
        )
    return found


def seed_random_layers(model: keras.Model, seed: int) -> None:
    """Restart dropout, noise and augmentation of a model from a seed."""
    states = [one for one in model.variables if one.name == "seed_generator_state"]
    for place, state in enumerate(states):
        state.assign([derived(seed, LAYERS, place), 0])
