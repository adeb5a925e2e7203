"""How sure a share is that was counted in groups."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
DRAWS = 1000


def grouped_share_interval(
    successes: np.ndarray, counts: np.ndarray, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Wilson's interval of a share whose cases come in groups that are alike within.

    Cases of one group tell less than as many independent ones. Wilson's formula gets the number of
    independent cases that would have this share's variance, as estimated between groups, times
    (z/t)² for their small number; never less than the number of groups (which it is for shares
    of 0 and 1, whose variance cannot be estimated), never more than the cases.

    Args:
        successes: (groups,).
        counts: (groups,) cases.
        confidence: Above 0, below 1.

    Reference:
        Wilson 1927, "Probable inference, the law of succession, and statistical inference"; Korn
        and Graubard 1998, "Confidence intervals for proportions with small expected number of
        positive counts estimated from survey data", for the effective number.
    """
    groups, total = len(counts), float(np.sum(counts))
    share = float(np.sum(successes)) / total
    alone = float(groups)
    z = float(stats.norm.ppf((1 + confidence) / 2))
    if 0.0 < share < 1.0 and groups > 1:
        spread = np.sum(np.square(successes - share * counts)) * groups / (groups - 1) / total**2
        ratio = z / float(stats.t.ppf((1 + confidence) / 2, groups - 1))
        alone = share * (1 - share) / spread * ratio**2 if spread > 0 else total
    alone = float(np.clip(alone, groups, total))
    middle = (share + z**2 / (2 * alone)) / (1 + z**2 / alone)
    reach = z * np.sqrt(share * (1 - share) / alone + z**2 / (4 * alone**2)) / (1 + z**2 / alone)
    low = 0.0 if share == 0.0 else float(middle - reach)
    return low, 1.0 if share == 1.0 else float(middle + reach)


def group_draws(groups: int, seed: int, draws: int = DRAWS) -> np.ndarray:
    """(draws, groups) how often each group is drawn in a bootstrap over groups."""
    generator = np.random.default_rng((seed, 4))
    return generator.multinomial(groups, np.full(groups, 1.0 / groups), draws).astype(float)


def between(values: np.ndarray, confidence: float = CONFIDENCE) -> tuple[np.ndarray, np.ndarray]:
    """The quantiles of bootstrap draws (draws, …) that hold so much of them; NaN are left out: of
    nothing but NaN it is NaN."""
    tail = 50.0 * (1 - confidence)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
        low, high = np.nanpercentile(values, [tail, 100.0 - tail], axis=0)
    return low, high
