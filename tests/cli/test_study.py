"""`kerasviz study`, as it is typed."""

from __future__ import annotations

import functools
import json
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from kerasviz import samples, studies
from kerasviz.dynamics import usual_initializers
from kerasviz.errors import InputError
from kerasviz.studies import initializer_study

pytestmark = pytest.mark.usefixtures("unoptimized_graphs")


@pytest.fixture
def one_initializer(monkeypatch):
    chosen = {"ones": usual_initializers.standard_initializers()["ones"]}
    monkeypatch.setattr(usual_initializers, "standard_initializers", lambda: chosen)


@pytest.fixture(scope="module")
def patches() -> samples.PhotoPatches:
    return samples.photo_patches(32)


def parts(patches: samples.PhotoPatches) -> Any:
    """As Keras returns CIFAR-10: uint8, classes in a column."""
    train, test = (patches.x_train, patches.y_train), (patches.x_test, patches.y_test)
    return tuple((x, y[:, None].astype("uint8")) for x, y in (train, test))


def test_tables_pictures_and_page(run, one_initializer, patches, monkeypatch, tmp_path):
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: parts(patches))
    monkeypatch.setattr("kerasviz.cli.study._DPI", 40)
    few = functools.partial(initializer_study.initializers, num_samples=16)
    monkeypatch.setattr(initializer_study, "initializers", few)
    output = tmp_path / "out"
    given = ("--data", "cifar10", "--epochs", 1, "--seeds", 1, "--samples", 24, "--output", output)
    result = run("study", "initializers", *given)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(output / "report.html")
    said = "Weight variance grows: is undefined (a variance is 0, or not finite) for ones."
    assert said in result.stdout
    features = pd.read_csv(output / "features.csv")
    assert len(features) == 2 * 3 * 7
    first = features[(features["layer"] == "conv_1") & ~features["trained"]]
    counted = first.groupby("inputs")["count"].first() / (32 * 32 * 16)
    assert counted.to_dict() == {"train": 16, "validation": 8, "noise": 16}
    weights = pd.read_csv(output / "weights.csv").set_index(["initializer", "layer", "trained"])
    assert weights.loc[("ones", "dense/kernel", False), ["mean", "std"]].tolist() == [1.0, 0.0]
    assert weights.loc[("ones", "dense/kernel", True), "std"] > 0
    assert {path.name for path in output.glob("*.png")} == {"weights.png", "features.png"}
    assert len(pd.read_csv(output / "training.csv")) == 1
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["data"], summary["seeds"], summary["epochs"]) == ("cifar10", [0], 1)
    page = (output / "report.html").read_text()
    assert "With one seed there are no intervals" in page


def test_no_copy_of_cifar10(refused, monkeypatch, tmp_path):
    def fail() -> None:
        raise Exception("URL fetch failure on https://there: None -- [Errno -2]\nmore")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", fail)
    said = refused("study", "initializers", "--data", "cifar10", "--output", tmp_path / "o")
    assert said.startswith("Expected CIFAR-10, which Keras downloads once and keeps. Received: no")
    assert "(URL fetch failure on https://there: None -- [Errno -2])" in said
    assert said.endswith("(on the command line: --data FILE.npz).")


def test_arrays_of_a_file(run, refused, patches, monkeypatch, tmp_path):
    asked = []

    def stop(build, data, *_, **__):
        asked.append(data)
        raise InputError("Stop here.")

    monkeypatch.setattr("kerasviz.studies.initializer_study.compare_initializers", stop)
    (x, y), (x_test, y_test) = parts(patches)
    path, given = tmp_path / "own.npz", ("--output", tmp_path / "o")
    np.savez(path, x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    assert refused("study", "initializers", "--data", path, *given) == "Stop here."
    np.testing.assert_allclose(asked[0][0][0], x / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(asked[0][1][1], y_test[:, 0])
    np.savez(path, x_train=x, labels=y)
    said = refused("study", "initializers", "--data", path, *given)
    assert said.startswith("Expected a .npz file with x_train, y_train, x_test, y_test.")
    assert "which holds x_train, labels." in said
    path.write_bytes(path.read_bytes()[:900])
    assert "cannot be read" in refused("study", "initializers", "--data", path, *given)
    said = refused("study", "initializers", "--data", tmp_path / "none.npz", *given)
    assert "No such file" in said


def test_unknown_data(refused, tmp_path):
    said = refused("study", "initializers", "--data", "mnist", "--output", tmp_path / "o")
    assert said.startswith("Expected --data patches, cifar10 or a .npz file. Received: mnist.")
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


def test_own_pictures_are_scaled_and_checked(monkeypatch, patches):
    asked = {}
    target = "kerasviz.studies.initializer_study.compare_initializers"
    monkeypatch.setattr(target, lambda build, data, *_, **kwargs: asked.update(data=data, **kwargs))
    train, test = parts(patches)
    studies.initializers((train, test), num_train=7)
    (x, y), (x_test, y_test) = asked["data"]
    np.testing.assert_allclose(x, patches.x_train[:7] / 127.5 - 1, atol=1e-6)
    assert (len(y), len(x_test), y_test.shape) == (7, 8, (8,))
    assert [layer for group in asked["layers"].values() for layer in group] == [
        *["block_1", "block_2", "block_3"],
        *["conv_1", "conv_2", "conv_3", "dense"],
    ]
    studies.initializers(num_train=32)
    np.testing.assert_allclose(asked["data"][1][0], patches.x_test / 127.5 - 1, atol=1e-6)


REFUSED = {
    "size": (lambda x, y: (x[:, :8], y), r"pictures \(n, 32, 32, 3\)"),
    "none": (lambda x, y: (x[:0], y[:0]), "one at least"),
    "lengths": (lambda x, y: (x, y[:-1]), "n classes"),
    "range": (lambda x, y: (x * 2.0, y), r"\[0, 255\] and classes from 0 to 9"),
    "classes": (lambda x, y: (x, y + 9), r"\[0, 255\] and classes from 0 to 9"),
    "nan": (lambda x, y: (np.full(x.shape, np.nan), y), "Received: nan to nan"),
    "text": (lambda x, y: (x, y.astype(str)), "classes of whole numbers"),
    "probabilities": (lambda x, y: (x, y / 9), "classes of whole numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_pictures_that_do_not_fit(name, patches):
    change, message = REFUSED[name]
    train, test = parts(patches)
    with pytest.raises(InputError, match=message):
        studies.initializers((change(*train), test))
    with pytest.raises(InputError, match=message):
        studies.initializers((train, change(*test)))


def test_data_of_no_known_form():
    with pytest.raises(InputError, match="Received: 'mnist'"):
        studies.initializers("mnist")
    with pytest.raises(InputError, match="Received: ndarray"):
        studies.initializers(np.zeros((2, 32, 32, 3)))


def test_receptive_fields_from_end_to_end(run, monkeypatch, tmp_path):
    from kerasviz.studies import field_study

    tiny = {"kernel_size": 3, "pooling": "everywhere"}
    known = {"narrow": tiny, "wide": {**tiny, "bottleneck": None}, "other": {}}
    monkeypatch.setattr(field_study, "retina_variants", lambda pooling: known)
    fields = np.zeros((2, 32, 32, 3), "float32")
    fields[:, 14:19, 15] = 1
    monkeypatch.setattr(field_study, "middle_fields", lambda model, layer, samples: fields)
    output = tmp_path / "out"
    given = ("--variant", "narrow", "--variant", "wide", "--epochs", 1, "--seeds", 1, "--color")
    result = run("study", "receptive-fields", *given, "--samples", 64, "--output", output)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(output / "report.html")
    assert len(list((output / "trainings").glob("*.npz"))) == 2
    assert len(pd.read_csv(output / "factors.csv")) == 1 + 2 * 3
    assert (
        "unclear for narrow against wide, bottleneck (+0.000 [nan, nan], 1 seeds)" in result.stdout
    )
    assert len(pd.read_csv(output / "units.csv")) == 2 * 3 * 2
    assert len(pd.read_csv(output / "findings.csv")) == 3 + 1
    assert pd.read_csv(output / "training.csv")["val_accuracy"].notna().all()
    names = {path.stem for path in output.glob("*.png")}
    assert names == {"variants", "bottleneck", "mid", "last", "orientations"}
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["data"], summary["seeds"], summary["epochs"]) == ("patches", [0], 1)
    assert "What shapes receptive fields" in (output / "report.html").read_text()


def test_unknown_variant(refused, tmp_path):
    said = refused("study", "receptive-fields", "--variant", "kernel 4", "--output", tmp_path / "o")
    assert said.startswith("Expected --variant to be one of kernel 9, kernel 7,")
    assert said.endswith("Received: kernel 4. Leave it out for all.")
