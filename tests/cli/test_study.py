"""`kerasviz study`, as it is typed."""

from __future__ import annotations

import json

import keras
import numpy as np
import pandas as pd
import pytest

from kerasviz import samples, studies
from kerasviz.dynamics import usual_initializers
from kerasviz.errors import InputError


@pytest.fixture
def two_initializers(monkeypatch):
    found = usual_initializers.standard_initializers()
    chosen = {name: found[name] for name in ("orthogonal", "ones")}
    monkeypatch.setattr(usual_initializers, "standard_initializers", lambda: chosen)


def test_tables_pictures_and_page(run, two_initializers, tmp_path):
    output = tmp_path / "out"
    given = ("--epochs", 1, "--seeds", 1, "--samples", 64, "--output", output)
    result = run("study", "initializers", *given)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(output / "report.html")
    assert "Weight variance grows: is open for orthogonal; is undefined" in result.stdout
    features = pd.read_csv(output / "features.csv")
    assert len(features) == 2 * 2 * 3 * 7
    weights = pd.read_csv(output / "weights.csv").set_index(["initializer", "layer", "trained"])
    assert weights.loc[("ones", "dense/kernel", False), ["mean", "std"]].tolist() == [1.0, 0.0]
    orthogonal = weights.loc[("orthogonal", "dense/kernel", False), "std"]
    assert orthogonal == pytest.approx((2 / 1024) ** 0.5, rel=1e-3)
    assert {path.name for path in output.glob("*.png")} == {"weights.png", "features.png"}
    assert len(pd.read_csv(output / "training.csv")) == 2
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["data"], summary["seeds"], summary["epochs"]) == ("patches", [0], 1)
    page = (output / "report.html").read_text()
    assert "With one seed there are no intervals" in page


def test_unknown_data(refused, tmp_path):
    said = refused("study", "initializers", "--data", "mnist", "--output", tmp_path / "o")
    assert said.startswith("Expected --data patches or cifar10. Received: mnist.")
    assert not (tmp_path / "o").exists()


def test_the_network_is_that_of_the_study():
    model = studies.initializer_network(keras.initializers.Constant(0.5))
    kernels = {w.path: w.shape for w in model.trainable_variables if "kernel" in w.path}
    assert list(kernels.values()) == [(3, 3, 3, 16), *[(3, 3, 16, 16)] * 2, (1024, 512), (512, 10)]
    assert all(
        (keras.ops.convert_to_numpy(w) == (0.5 if "kernel" in w.path else 0)).all()
        for w in model.weights
    )
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-4)
    assert model.output.shape == (None, 10)


def test_own_pictures_are_scaled_and_checked(monkeypatch):
    asked = {}
    target = "kerasviz.studies.initializer_study.compare_initializers"
    monkeypatch.setattr(target, lambda build, data, *_, **kwargs: asked.update(data=data, **kwargs))
    patches = samples.photo_patches(14)
    train, test = (patches.x_train, patches.y_train), (patches.x_test, patches.y_test[:, None])
    studies.initializers((train, test), num_train=7)
    (x, y), (x_test, y_test) = asked["data"]
    np.testing.assert_allclose(x, patches.x_train[:7] / 127.5 - 1, atol=1e-6)
    assert (len(y), len(x_test), y_test.shape) == (7, 3, (3,))
    assert [layer for group in asked["layers"].values() for layer in group] == [
        *["block_1", "block_2", "block_3"],
        *["conv_1", "conv_2", "conv_3", "dense"],
    ]
    with pytest.raises(InputError, match=r"pictures \(n, 32, 32, 3\)"):
        studies.initializers(((train[0][:, :8], train[1]), test))
    with pytest.raises(InputError, match=r"\[0, 255\] and classes from 0 to 9"):
        studies.initializers(((train[0], train[1] + 9), test))
    with pytest.raises(InputError, match="Received: 'mnist'"):
        studies.initializers("mnist")


def test_receptive_fields_from_end_to_end(run, monkeypatch, tmp_path):
    from kerasviz.studies import field_study

    tiny = {"kernel_size": 3, "pooling": "everywhere"}
    known = {"narrow": tiny, "wide": {**tiny, "bottleneck": None}, "other": {}}
    monkeypatch.setattr(field_study, "retina_variants", lambda: known)
    fields = np.zeros((2, 32, 32, 3), "float32")
    fields[:, 14:19, 15] = 1
    monkeypatch.setattr(
        field_study.receptive_fields,
        "__kwdefaults__",
        {**field_study.receptive_fields.__kwdefaults__, "fields": lambda model, layer: fields},
    )
    output = tmp_path / "out"
    given = ("--variant", "narrow", "--variant", "wide", "--epochs", 1, "--seeds", 1, "--color")
    result = run("study", "receptive-fields", *given, "--samples", 64, "--output", output)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(output / "report.html")
    assert (
        "unclear for narrow against wide, bottleneck (+0.000 [nan, nan], 1 seeds)" in result.stdout
    )
    assert len(pd.read_csv(output / "units.csv")) == 2 * 3 * 2
    assert len(pd.read_csv(output / "findings.csv")) == 3 + 1
    assert pd.read_csv(output / "training.csv")["val_accuracy"].notna().all()
    names = {path.stem for path in output.glob("*.png")}
    assert names == {"bottleneck", "mid", "last", "orientations"}
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["data"], summary["seeds"], summary["epochs"]) == ("patches", [0], 1)
    assert "What shapes receptive fields" in (output / "report.html").read_text()


def test_unknown_variant(refused, tmp_path):
    said = refused("study", "receptive-fields", "--variant", "kernel 4", "--output", tmp_path / "o")
    assert said.startswith("Expected --variant to be one of kernel 9, kernel 7,")
    assert said.endswith("Received: kernel 4. Leave it out for all.")
