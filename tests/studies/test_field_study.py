"""The network of the study, its data, and what its result says."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import kerasviz as kv
from kerasviz import samples, studies
from kerasviz.dynamics.comparison_training import trained
from kerasviz.errors import InputError, KerasvizWarning, OutputError
from kerasviz.studies import field_study, field_training
from kerasviz.studies.field_study_result import ORIENTED, ROUNDER
from kerasviz.studies.small_pictures import small_pictures

TINY = {"kernel_size": 3, "pooling": "everywhere"}


@pytest.fixture(scope="module")
def found() -> studies.FieldStudy:
    asked = []
    result = studies.receptive_fields(
        {"narrow": TINY, "wide": {**TINY, "bottleneck": 2, "activation": "gelu"}},
        seeds=[3],
        epochs=2,
        num_train=70,
        layers=["bottleneck"],
        progress=lambda *told: asked.append(told),
    )
    assert asked == [("narrow", 3, 1), ("narrow", 3, 2), ("wide", 3, 1), ("wide", 3, 2)]
    return result


@pytest.mark.parametrize(
    ("pooling", "sizes"),
    [
        ("none", (32, 32, 32, 32)),
        ("early", (32, 16, 8, 8)),
        ("late", (32, 32, 32, 16)),
        ("everywhere", (32, 16, 8, 4)),
    ],
)
def test_the_network_is_that_of_the_study(pooling: str, sizes: tuple[int, ...]) -> None:
    model = studies.retina(5, "gelu", pooling, colors=3)
    shapes = {
        name: model.get_layer(name).output.shape[1:]
        for name in ("conv_1", "bottleneck", "mid", "last")
    }
    channels = (32, 1, 32, 32)
    assert list(shapes.values()) == [(s, s, c) for s, c in zip(sizes, channels, strict=True)]
    last = sizes[-1] // (2 if pooling in ("late", "everywhere") else 1)
    kernels = [w.shape for w in model.trainable_variables if "kernel" in w.path]
    convolutions = [(5, 5, 3, 32), (5, 5, 32, 1), (5, 5, 1, 32), (5, 5, 32, 32)]
    assert kernels == [*convolutions, (32 * last**2, 1024), (1024, 10)]
    assert model.get_layer("mid_activation").activation is keras.activations.gelu
    assert model.get_layer("mid").activation is keras.activations.linear
    pools = [layer for layer in model.layers if "pool" in layer.name]
    assert all(isinstance(layer, keras.layers.AveragePooling2D) for layer in pools)


def test_a_seed_decides_the_weights() -> None:
    one, same, other = (studies.retina(3, pooling="everywhere", seed=s) for s in (1, 1, 2))
    weights = [m.get_layer("mid").get_weights()[0] for m in (one, same, other)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert np.abs(weights[0] - weights[2]).max() > 0.01
    open_ = studies.retina(3, pooling="everywhere", bottleneck=None)
    assert open_.get_layer("bottleneck").output.shape[-1] == 32


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="`pooling` must be one of"):
        studies.retina(pooling="max")
    with pytest.raises(InputError, match="`colors` must be 1 or 3"):
        studies.retina(colors=2)
    with pytest.raises(InputError, match="Received: 'reul'"):
        studies.retina(activation="reul")
    with pytest.raises(InputError, match="`bottleneck` must be a whole number from 1"):
        studies.retina(bottleneck=0)
    with pytest.raises(InputError, match="`learning_rate`"):
        studies.retina(learning_rate=0)
    with pytest.raises(InputError, match="at least one each"):
        studies.receptive_fields(seeds=[])
    with pytest.raises(InputError, match="'mnist'"):
        studies.receptive_fields({"a": TINY}, data="mnist")
    with pytest.raises(InputError, match="`layers` must be among"):
        studies.receptive_fields({"a": TINY}, layers=["conv_9"])


def test_the_variants_of_the_study_can_all_be_built() -> None:
    variants = studies.retina_variants()
    assert len(variants) == 13
    pairs = studies.FieldStudy(*[None] * 3, variants, (), (), {})._pairs()
    assert pairs == [(f"kernel {size}", f"kernel {size}, no bottleneck") for size in (9, 5)]
    assert "pooling none" not in variants
    early = studies.retina_variants("early")
    assert len(early) == 13
    assert early["pooling none"] == {"kernel_size": 5, "pooling": "none"}
    assert early["tanh"] == {"kernel_size": 5, "pooling": "early", "activation": "tanh"}
    for settings in [*variants.values(), *early.values()]:
        assert set(settings) <= {"kernel_size", "activation", "pooling", "bottleneck"}
    with pytest.raises(InputError, match="Received: 'soon'"):
        studies.retina_variants("soon")


def test_what_is_measured_and_kept(found: studies.FieldStudy) -> None:
    assert found.table.groupby("variant")["unit"].count().to_dict() == {"narrow": 1, "wide": 2}
    field = found.maps["wide", 3, "bottleneck"]
    assert field.shape == (2, 8, 8, 1)
    again = kv.receptive_fields.describe(field)
    kept = found.table[found.table["variant"] == "wide"]
    np.testing.assert_allclose(kept["orientation_std"], again["orientation_std"])
    training = found.training
    assert training[["variant", "epoch"]].to_numpy().tolist() == [
        *[["narrow", 1], ["narrow", 2]],
        *[["wide", 1], ["wide", 2]],
    ]
    assert training["val_accuracy"].notna().tolist() == [False, True] * 2
    summary = found.summary().set_index("variant")
    assert summary.loc["wide", "orientation_std"] == pytest.approx(again["orientation_std"].mean())
    assert summary[["gabor", "dog", "other", "dead"]].sum(axis=1).tolist() == [1, 1]
    assert found.findings().empty
    assert repr(found) == "FieldStudy(['narrow', 'wide'], 1 seeds, 2 epochs)"
    figure = found.plot()
    assert len(figure.axes) == 3
    assert np.asarray(figure.axes[0].images[0].get_array()).shape == (8, 8)
    with pytest.raises(InputError, match="one of"):
        found.plot("mid")
    with pytest.raises(InputError, match="one of"):
        found.plot(seed=4)


def by_hand(values: dict[tuple[str, str], list[float]]) -> studies.FieldStudy:
    """A result with a unit a seed."""
    rows = [
        {"variant": variant, "layer": layer, "seed": seed, "orientation_std": value, "type": "dog"}
        for (variant, layer), column in values.items()
        for seed, value in enumerate(column)
    ]
    variants = {"one": {}, "none": {"bottleneck": None}}
    layers = ("bottleneck", "mid")
    training = pd.DataFrame([{"variant": "one", "seed": 0, "epoch": 1, "val_accuracy": 0.5}])
    return studies.FieldStudy(pd.DataFrame(rows), training, {}, variants, (0, 1), layers, {})


def test_findings_are_paired_by_seed() -> None:
    result = by_hand(
        {
            ("one", "bottleneck"): [0.10, 0.20, 0.30],
            ("none", "bottleneck"): [0.20, 0.31, 0.39],
            ("one", "mid"): [0.3, 0.2, 0.3],
            ("none", "mid"): [0.1, 0.2],
        }
    )
    table = result.findings().set_index(["finding", "layer"])
    first = table.loc[ROUNDER, "bottleneck"]
    reach = 4.302652729696142 * np.std([0.10, 0.11, 0.09], ddof=1) / 3**0.5
    assert first["estimate"] == pytest.approx(-0.1)
    assert (first["low"], first["high"]) == pytest.approx((-0.1 - reach, -0.1 + reach))
    assert (first["holds"], first["against"], first["seeds"]) == ("yes", "none", 3)
    second = table.loc[ROUNDER, "mid"]
    assert (second["holds"], second["seeds"]) == ("unclear", 2)
    assert second["estimate"] == pytest.approx(0.1)
    assert table.loc[ORIENTED, "mid"]["estimate"] == pytest.approx(0.2 / 3)
    assert "yes for one against none, bottleneck (-0.100 [" in result.words()[0]
    with pytest.raises(InputError, match="`confidence`"):
        result.findings(1.0)
    both = dataclasses.replace(result, variants={**result.variants, "other": {"kernel_size": 3}})
    more = by_hand({("other", "bottleneck"): [0.1, 0.1], ("other", "mid"): [0.2, 0.4]}).table
    both = dataclasses.replace(both, table=pd.concat([result.table, more]))
    last = both.findings().iloc[-1]
    assert (last["variant"], last["seeds"], last["holds"]) == ("all variants", 5, "unclear")
    differences = [0.2, 0.0, 0.0, 0.1, 0.3]
    assert last["estimate"] == pytest.approx(np.mean(differences))
    reach = stats.t.ppf(0.975, 4) * np.std(differences, ddof=1) / 5**0.5
    assert last["low"] == pytest.approx(np.mean(differences) - reach)
    swapped = by_hand(
        {
            ("one", "bottleneck"): [0.20, 0.31],
            ("none", "bottleneck"): [0.10, 0.211],
            ("one", "mid"): [0.3, 0.41],
            ("none", "mid"): [0.1, 0.2],
        }
    )
    assert swapped.findings()["holds"].tolist()[:3] == ["no", "no", "yes"]


def test_factors_by_hand() -> None:
    values = {"three": [0.2, 0.4], "five": [0.5, 0.7], "tanh": [0.9, 0.9], "silent": [np.nan] * 2}
    settings = [{"kernel_size": 3}, {"kernel_size": 5}, {"kernel_size": 5, "activation": "tanh"}]
    variants = dict(zip(values, [*settings, {"kernel_size": 7}], strict=True))
    rows = [
        {"variant": name, "seed": seed, "layer": "mid", "orientation_std": value, "type": "gabor"}
        for name, column in values.items()
        for seed, value in enumerate(column)
    ]
    training = [
        {"variant": row["variant"], "seed": row["seed"], "epoch": epoch, "val_accuracy": score}
        for row in rows
        for epoch, score in ((1, np.nan), (2, row["orientation_std"]))
    ]
    result = studies.FieldStudy(
        pd.DataFrame(rows), pd.DataFrame(training), {}, variants, (0, 1), ("mid",), {}
    )
    table = result.factors().set_index(["factor", "measure"])
    row = table.loc["kernel size", "orientation_std"]
    assert (row["lowest"], row["highest"]) == ("three", "five")
    assert (row["low"], row["high"]) == pytest.approx((0.3, 0.6))
    assert (row["variants"], row["layer"]) == (3, "mid")
    # Means 0.3 and 0.6 about 0.45, and 0.1 from each mean: 0.09 between of 0.09 + 0.04.
    assert row["share"] == pytest.approx(0.09 / 0.13)
    expected = stats.f_oneway([0.2, 0.4], [0.5, 0.7]).pvalue
    assert row["p_value"] == pytest.approx(expected)
    assert table.loc["kernel size", "val_accuracy"]["share"] == pytest.approx(0.09 / 0.13)
    flat = table.loc["kernel size", "gabor"]
    assert flat["share"] == 0.0
    assert np.isnan(flat["p_value"])
    between = 2 * (0.15**2 + 0.15**2)
    assert table.loc["activation", "orientation_std"]["share"] == pytest.approx(
        between / (between + 0.02)
    )
    assert len(table) == 6
    assert (
        "Kernel size decides 69% of the variance of orientation_std of mid (p = 0.17): "
        "from 0.30 (three) to 0.60 (five)." in result.words()
    )


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The settings of every training, none of which takes place."""
    asked: list[dict[str, Any]] = []

    def train(self: Any, settings: dict[str, Any], told: Any) -> field_training.FieldTraining:
        asked.append(settings)
        told(1)
        field = np.random.default_rng(settings["kernel_size"]).normal(size=(1, 6, 6, 1))
        scores = {"accuracy": 0.25, "loss": 1.5}
        history = {"loss": [np.float32(0.1)]}
        return field_training.FieldTraining({}, history, scores, bottleneck=field.astype("float32"))

    monkeypatch.setattr(field_study._Study, "train", train)
    return asked


def quick(*names: str, **settings: Any) -> studies.FieldStudy:
    variants = {name: {**TINY, "kernel_size": np.int64(name)} for name in names}
    given = {"seeds": [3], "epochs": 1, "num_train": 70, "layers": ["bottleneck"], **settings}
    return studies.receptive_fields(variants, **given)


def test_an_interrupted_study_goes_on(tmp_path: Path, trainings: list[Any]) -> None:
    told = []

    def interrupted(*now: Any) -> None:
        told.append(now)
        if now[0] == "5":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quick("3", "5", folder=tmp_path / "kept", progress=interrupted)
    (kept,) = (tmp_path / "kept").glob("*.npz")
    trainings.clear()
    told.clear()
    keep = {"folder": tmp_path / "kept"}
    found = quick("3", "5", **keep, progress=lambda *now: told.append(now))
    assert told == [("3", 3, 1), ("5", 3, 1)]
    assert [one["kernel_size"] for one in trainings] == [5]
    alone = quick("3", "5")
    axes = quick("3", "5", seeds=[3, 4, 5]).plot(num=2).axes
    assert len(axes) == 2 * 2
    assert len(quick("3", seeds=[3, 4]).plot(seed=4).axes) == 1
    again = studies.FieldStudy.load(alone.save(tmp_path / "study.npz"))
    assert (again.seeds, again.layers, again.variants) == ((3,), ("bottleneck",), alone.variants)
    assert [*again.maps] == [*alone.maps]
    np.testing.assert_array_equal(
        again.maps["5", 3, "bottleneck"], alone.maps["5", 3, "bottleneck"]
    )
    pd.testing.assert_frame_equal(again.summary(), alone.summary())
    panels = quick("3", "5", seeds=[3, 4]).plot_variants().axes
    assert [len(a.collections) for a in panels] == [2, 2]
    assert panels[0].collections[0].get_offsets()[:, 0].tolist() == [0.25, 0.25]
    expected = alone.table["orientation_std"].tolist()
    drawn = [rings.get_offsets()[0, 0] for rings in panels[1].collections]
    assert drawn == pytest.approx(expected)
    for key, field in alone.maps.items():
        np.testing.assert_array_equal(found.maps[key], field)
    pd.testing.assert_frame_equal(found.training, alone.training, check_dtype=False)
    pd.testing.assert_frame_equal(found.table, alone.table)
    trainings.clear()
    kept.write_bytes(kept.read_bytes()[:200])
    quick("3", **keep)
    assert len(trainings) == 1
    others = ({"samples": 2}, {"learning_rate": 1e-3}, {"num_train": 77}, {"epochs": 2})
    for count, other in enumerate(others, 2):
        quick("3", **keep, **other)
        assert len(trainings) == count
    quick("3", **keep)
    assert len(trainings) == 5
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OutputError, match="`folder` must be a folder that can be made"):
        quick("3", folder=blocked / "below")


def test_a_full_disk_does_not_end_a_study(
    tmp_path: Path, trainings: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> None:
        raise OutputError("no space left")

    monkeypatch.setattr(field_training.saving, "save", full)
    with pytest.warns(KerasvizWarning, match="could not be kept: no space left") as told:
        found = quick("3", "5", folder=tmp_path)
    assert len([one for one in told if "kept" in str(one.message)]) == 1
    assert set(found.maps) == {("3", 3, "bottleneck"), ("5", 3, "bottleneck")}


def test_fields_on_noise_are_means_over_noise() -> None:
    found = studies.receptive_fields(
        {"a": TINY}, seeds=[0], epochs=1, num_train=64, layers=["mid"], samples=3
    )
    model = studies.retina(**TINY, seed=0)
    patches = small_pictures("patches", 64, 1)
    (x, y), _ = patches
    trained(model, (x / 255.0, y), 1, field_study.BATCH_SIZE, 0, lambda epoch: None)
    expected = kv.receptive_fields.maps(model, "mid", samples=3).maps
    np.testing.assert_allclose(found.maps["a", 0, "mid"], expected, rtol=1e-4, atol=1e-7)
    assert found.provenance["samples"] == 3


def test_own_pictures_are_made_grey_and_checked() -> None:
    patches = samples.photo_patches(16)
    train, test = (patches.x_train, patches.y_train[:, None]), (patches.x_test, patches.y_test)
    (grey, y), _ = small_pictures((train, test), colors=1)
    luminance = patches.x_train @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey[..., 0], luminance, rtol=1e-6)
    np.testing.assert_array_equal(y, patches.y_train)
    np.testing.assert_array_equal(small_pictures((train, test))[0][0], patches.x_train)
    with pytest.raises(InputError, match=r"pictures \(n, 32, 32, 1 or 3\)"):
        small_pictures(((train[0][:, :8], train[1]), test), colors=1)
    with pytest.raises(InputError, match="classes from 0 to 9"):
        small_pictures((train, (test[0], test[1] + 9)), colors=1)
