"""What objectives are worth, one picture and one position at a time, in NumPy and float64.

Every function takes features (num_images, *positions, channels), channels last.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Features = np.ndarray


def channel(features: Features, channels: int | Sequence[int]) -> np.ndarray:
    """Mean of one channel over the positions; `channels` for all pictures or for each."""
    chosen = np.broadcast_to(channels, len(features))
    return np.array(
        [picture[..., c].mean() for picture, c in zip(_exact(features), chosen, strict=True)]
    )


def positions(picture: np.ndarray) -> np.ndarray:
    """(positions, channels) of one picture."""
    return picture.reshape(-1, picture.shape[-1])


def weighted_product(features: Features, vectors: np.ndarray, power: float) -> np.ndarray:
    """Mean over positions of v·x · max(0.1, cos)^power; `vectors` (num_images, channels)."""
    return np.array(
        [
            np.mean([x @ v * max(0.1, cosine(x, v)) ** power for x in positions(picture)])
            for picture, v in zip(_exact(features), vectors, strict=True)
        ]
    )


def mean_cosine(features: Features, vectors: np.ndarray) -> np.ndarray:
    """Mean over positions of the cosine."""
    return np.array(
        [
            np.mean([cosine(x, v) for x in positions(picture)])
            for picture, v in zip(_exact(features), vectors, strict=True)
        ]
    )


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Of the angle between two vectors; 0 where one is zero."""
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / lengths) if lengths else 0.0


def gram(picture: np.ndarray) -> np.ndarray:
    """(channels, channels): mean over positions of the products."""
    return np.mean([np.outer(x, x) for x in positions(picture)], axis=0)


def diversity(features: Features) -> np.ndarray:
    """Sum over the other pictures of the cosine between Gram matrices."""
    grams = [gram(picture).ravel() for picture in _exact(features)]
    return np.array(
        [
            sum(cosine(one, other) for j, other in enumerate(grams) if j != i)
            for i, one in enumerate(grams)
        ]
    )


def alignment(features: Features, decay: float) -> np.ndarray:
    """Minus the sum, over neighbours at most four off, of half the mean squared difference,
    divided by decay^distance."""
    exact, count = _exact(features), len(features)
    result = np.zeros(count)
    for i in range(count):
        for j in range(count):
            if 0 < abs(i - j) <= 4:
                result[i] -= 0.5 * np.mean((exact[i] - exact[j]) ** 2) / decay ** abs(i - j)
    return result


def inversion(features: Features, photos: Features) -> np.ndarray:
    """Minus the squared distance to each photo's features, over their own square."""
    return np.array(
        [-((one - other) ** 2).sum() / (other**2).sum() for one, other in _pairs(features, photos)]
    )


def caricature(features: Features, photos: Features, power: float) -> np.ndarray:
    """Mean over positions of x·y · max(0.1, cos)^power."""
    return np.array(
        [
            np.mean(
                [
                    x @ y * max(0.1, cosine(x, y)) ** power
                    for x, y in zip(positions(one), positions(other), strict=True)
                ]
            )
            for one, other in _pairs(features, photos)
        ]
    )


def style(features: Features, photos: Features) -> np.ndarray:
    """Minus the mean absolute difference of Gram matrices."""
    return np.array(
        [-np.abs(gram(one) - gram(other)).mean() for one, other in _pairs(features, photos)]
    )


def difference(features: Features, photos: Features) -> np.ndarray:
    """Mean absolute difference."""
    return np.array([np.abs(one - other).mean() for one, other in _pairs(features, photos)])


def total_variation(pictures: np.ndarray, beta: float) -> np.ndarray:
    """Mean over pixels and channels of (Σ squared steps to the next pixels)^(β/2)."""
    result = []
    for picture in _exact(pictures):
        values = []
        for pixel in np.ndindex(picture.shape):
            steps = 0.0
            for axis in range(picture.ndim - 1):
                ahead = list(pixel)
                ahead[axis] += 1
                if ahead[axis] < picture.shape[axis]:
                    steps += (picture[tuple(ahead)] - picture[pixel]) ** 2
            values.append(steps ** (beta / 2))
        result.append(np.mean(values))
    return np.array(result)


def blurred(pictures: np.ndarray) -> np.ndarray:
    """Mean over those of the 5 pixels around along each axis that exist, axis by axis."""
    result = _exact(pictures)
    for axis in range(1, result.ndim - 1):
        lines = np.moveaxis(result, axis, 0)
        means = [lines[max(0, i - 2) : i + 3].mean(axis=0) for i in range(len(lines))]
        result = np.moveaxis(np.stack(means), 0, axis)
    return result


def boundary(pictures: np.ndarray, width: int, constant: float) -> np.ndarray:
    """Mean over pixels, zero further than `width` inside: detail + 0.8 departure from grey."""
    detail = (blurred(pictures) - pictures) ** 2 + 0.8 * (_exact(pictures) - constant) ** 2
    sizes = pictures.shape[1:-1]
    for pixel in np.ndindex(sizes):
        if all(width <= i < n - width for i, n in zip(pixel, sizes, strict=True)):
            detail[(slice(None), *pixel)] = 0.0
    return detail.reshape(len(pictures), -1).mean(axis=1)


def _pairs(features: Features, photos: Features) -> list[tuple[np.ndarray, np.ndarray]]:
    others = np.broadcast_to(photos, (len(features), *photos.shape[1:]))
    return list(zip(_exact(features), _exact(others), strict=True))


def _exact(features: np.ndarray) -> np.ndarray:
    return np.asarray(features, "float64")
