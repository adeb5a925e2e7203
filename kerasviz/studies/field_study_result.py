"""What the study of receptive fields found."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe.saving import Kept
from kerasviz.studies.field_factors import factor_table, measures, of_variants, rest_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

ROUNDER = "a bottleneck of one channel gives rounder fields than none"
ALL = "all variants"
ORIENTED = "fields after a bottleneck of one channel are less round than in it"

LABELS = {"val_accuracy": "accuracy", "orientation_std": "orientation_std"}
NOTES = {"accuracy": "of validation pictures", "orientation_std": "median of units; 0: round"}


@dataclasses.dataclass(frozen=True, eq=False)
class FieldStudy(Kept):
    """Receptive fields of variants of one network, trained from several seeds.

    Args:
        table: A row a unit: `variant`, `seed`, `layer`, `unit`, and the columns of
            `kv.receptive_fields.describe`.
        training: A row an epoch: `variant`, `seed`, `epoch`, `loss`, `accuracy`, and in the last
            one `val_loss` and `val_accuracy`.
        maps: (variant, seed, layer) → (units, 32, 32, colours) float32.
        variants: Name → settings of `retina`.
        seeds: Seeds.
        layers: Layers, in order of depth.
        provenance: Versions, settings, time.
    """

    table: pd.DataFrame
    training: pd.DataFrame
    maps: dict[tuple[str, int, str], np.ndarray]
    variants: dict[str, dict[str, Any]]
    seeds: tuple[int, ...]
    layers: tuple[str, ...]
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        epochs = self.provenance.get("epochs")
        return f"FieldStudy({[*self.variants]}, {len(self.seeds)} seeds, {epochs} epochs)"

    def summary(self) -> pd.DataFrame:
        """A row a variant and layer: `val_accuracy` (mean over seeds), `gabor`, `dog`, `other` and
        `dead` (share of the units of all seeds), `orientation_std` and `orientation_ratio`
        (median over units, mean over seeds)."""
        import pandas as pd

        accuracy = self.training.groupby("variant")["val_accuracy"].mean().to_dict()
        rows = []
        for (variant, layer), part in self.table.groupby(["variant", "layer"], sort=False):
            row = {"variant": variant, "layer": layer, "val_accuracy": accuracy[variant]}
            row |= {
                kind: (part["type"] == kind).mean() for kind in ("gabor", "dog", "other", "dead")
            }
            for name in ("orientation_std", "orientation_ratio"):
                row[name] = part.groupby("seed")[name].median().mean()
            rows.append(row)
        return pd.DataFrame(rows)

    def findings(self, confidence: float = 0.95) -> pd.DataFrame:
        """What a bottleneck of one channel does to `orientation_std`, 0 of which is round.

        - "a bottleneck of one channel gives rounder fields than none": mean of a layer's units
          with such a bottleneck, less that of the variant that differs in nothing else; holds
          below 0.
        - "fields after a bottleneck of one channel are less round than in it": mean of the layer
          "mid", less that of "bottleneck"; holds above 0. The last row, "all variants", is of all
          trainings with such a bottleneck together.

        Args:
            confidence: Of the intervals, in (0, 1).

        Returns:
            DataFrame: `finding`, `variant`, `against`, `layer`, `estimate` (mean difference over
            the seeds that have both), `low` and `high` (Student's t interval of that mean, paired
            by seed; NaN for fewer than two), `seeds` (how many), `holds`: "yes", "no", "unclear"
            where the interval holds 0 or there is none. No row where no variants make a pair.

        Raises:
            InputError: A confidence outside of (0, 1).
        """
        import pandas as pd

        if not 0 < confidence < 1:
            raise InputError(f"`confidence` must be in (0, 1). Received: {confidence!r}. Try 0.95.")
        means = self.table.groupby(["variant", "layer", "seed"])["orientation_std"].mean()
        rows = [
            _row(
                ROUNDER,
                (narrow, wide, layer),
                (means.loc[narrow, layer] - means.loc[wide, layer]).dropna().to_numpy(),
                confidence,
            )
            for narrow, wide in self._pairs()
            for layer in self.layers
        ]
        if {"bottleneck", "mid"} <= set(self.layers):
            narrow = [n for n, given in self.variants.items() if given.get("bottleneck", 1) == 1]
            behind = means[means.index.get_level_values("layer") == "mid"].droplevel("layer")
            within = means[means.index.get_level_values("layer") == "bottleneck"].droplevel("layer")
            differences = (behind - within).dropna()
            rows += [
                _row(ORIENTED, (n, n, "mid"), of_variants(differences, n), confidence)
                for n in narrow
            ]
            if len(narrow) > 1:
                everything = of_variants(differences, *narrow)
                rows.append(_row(ORIENTED, (ALL, ALL, "mid"), everything, confidence))
        columns = ["finding", "variant", "against", "layer", "estimate", "low", "high", "seeds"]
        return pd.DataFrame(rows, columns=[*columns, "holds"])

    def factors(self) -> pd.DataFrame:
        """How much each setting decides, against the luck of the seed.

        Variants that differ in one setting only are a group. Of each variant and seed these are
        compared: `val_accuracy`; of each layer the median of `orientation_std` over units, and the
        share of units named "gabor".

        Returns:
            DataFrame: `factor` ("kernel size", "activation", "pooling", "bottleneck"), `measure`,
            `layer` ("" for the accuracy), how many `variants` and `seeds`, the variants with the
            `lowest` and `highest` mean over seeds with these means, `low` and `high`, `share` of
            the variance that lies between variants, not seeds (η², in [0, 1]), and `p_value` of
            the F test that all variants are alike. NaN where no variant has two seeds. Many rows
            are many tests: of 20, one is below 0.05 by chance.
        """
        return factor_table(self.table, self.training, self.variants)

    def words(self, confidence: float = 0.95) -> list[str]:
        """A sentence a finding, and one for each setting's part in accuracy and roundness."""
        return [*self._found(confidence), *map(_said, self._decided().itertuples())]

    def _decided(self) -> pd.DataFrame:
        table = self.factors()
        return table[(table["measure"] != "gabor") & table["share"].notna()]

    def _found(self, confidence: float) -> list[str]:
        return [
            f"{row['finding'].capitalize()}: {row['holds']} for {row['variant']}"
            + (f" against {row['against']}" if row["against"] != row["variant"] else "")
            + f", {row['layer']} ({row['estimate']:+.3f} [{row['low']:.3f}, {row['high']:.3f}], "
            f"{row['seeds']} {'trainings' if row['variant'] == ALL else 'seeds'})."
            for row in self.findings(confidence).to_dict("records")
        ]

    def plot(
        self, layer: str = "bottleneck", seed: int | None = None, num: int = 8, **kwargs: Any
    ) -> Figure:
        """Receptive fields of a layer: a row a variant.

        Args:
            layer: Which layer.
            seed: Which training; None: the first, and where its layer has fewer units than `num`
                the next ones too, with the seed in brackets.
            num: Units a row, at most.
            **kwargs: `title` of `kv.plots.field_rows`.

        Raises:
            InputError: No such layer or seed.
        """
        from kerasviz.plots.variant_fields import field_rows

        if layer not in self.layers or seed not in (None, *self.seeds):
            raise InputError(
                f"`layer` must be one of {self.layers} and `seed` one of {self.seeds}. Received: "
                f"{layer!r} and {seed!r}. Choose others."
            )
        shown = {name: self._shown(name, layer, seed, num) for name in self.variants}
        maps = {name: np.stack([one for one, _ in row]) for name, row in shown.items()}
        notes = {name: [words for _, words in row] for name, row in shown.items()}
        kwargs.setdefault("title", f"Receptive fields of {layer}")
        return field_rows(maps, notes, **kwargs)

    def _shown(
        self, variant: str, layer: str, seed: int | None, num: int
    ) -> list[tuple[np.ndarray, str]]:
        """Fields with a few words: of one seed, or of the first ones until there are enough."""
        found: list[tuple[np.ndarray, str]] = []
        table = self.table[(self.table["layer"] == layer) & (self.table["variant"] == variant)]
        for place, one in enumerate(self.seeds if seed is None else (seed,)):
            if place and len(found) >= num:
                break
            rows = table[table["seed"] == one]
            words = [f"{row.type}, {row.orientation_std:.2f}" for row in rows.itertuples()]
            if seed is None and len(words) < num and len(self.seeds) > 1:
                words = [f"{text} ({one})" for text in words]
            found += zip(self.maps[variant, one, layer], words, strict=True)
        return found[:num]

    def plot_variants(self, **kwargs: Any) -> Figure:
        """Accuracy and the roundness of each layer: a row a variant, a ring a seed.

        Args:
            **kwargs: `title` of `kv.plots.variant_measures`.
        """
        from kerasviz.plots.variant_measures import variant_measures

        found = {
            LABELS.get(measure, measure) + (f", {layer}" if layer else ""): {
                name: of_variants(series, name).tolist() for name in self.variants
            }
            for (measure, layer), series in measures(self.table, self.training).items()
            if measure in LABELS
        }
        count = len(self.seeds)
        kwargs.setdefault("title", f"What each variant reached, {count} seed{'s' * (count > 1)}")
        notes = {name: NOTES[name.split(",")[0]] for name in found}
        return variant_measures(found, notes=notes, **kwargs)

    def _pairs(self) -> list[tuple[str, str]]:
        """Variants with a bottleneck of one channel, and those that differ only in having none."""
        rests: dict[Any, str] = {}
        for name, settings in self.variants.items():
            if settings.get("bottleneck", 1) is None:
                rests[rest_of(settings, "bottleneck")] = name
        return [
            (name, rests[rest_of(settings, "bottleneck")])
            for name, settings in self.variants.items()
            if settings.get("bottleneck", 1) == 1 and rest_of(settings, "bottleneck") in rests
        ]


def _said(row: Any) -> str:
    where = f" of {row.layer}" if row.layer else ""
    return (
        f"{row.factor.capitalize()} decides {row.share:.0%} of the variance of "
        f"{row.measure}{where} (p = {row.p_value:.2g}): from {row.low:.2f} "
        f"({row.lowest}) to {row.high:.2f} ({row.highest})."
    )


def _row(
    finding: str, names: tuple[str, str, str], values: np.ndarray, confidence: float
) -> dict[str, Any]:
    from scipy import stats

    estimate = float(values.mean()) if len(values) else np.nan
    low = high = np.nan
    if len(values) > 1:
        reach = stats.t.ppf(0.5 + confidence / 2, len(values) - 1) * stats.sem(values)
        low, high = estimate - reach, estimate + reach
    sides = (high < 0, low > 0) if finding == ROUNDER else (low > 0, high < 0)
    return {
        "finding": finding,
        **dict(zip(("variant", "against", "layer"), names, strict=True)),
        "estimate": estimate,
        "low": float(low),
        "high": float(high),
        "seeds": len(values),
        "holds": "yes" if sides[0] else "no" if sides[1] else "unclear",
    }
