"""The commands, from their arguments to the files they leave."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import kerasviz as kv
from kerasviz.cli.methods import METHODS, choose_methods, run_methods
from kerasviz.cli.progress import Steps
from tests.conftest import build


def explained(output: Path) -> dict:
    return json.loads((output / "summary.json").read_text(encoding="utf-8"))


def maps(output: Path, method: str) -> np.ndarray:
    return kv.Explanation.load(output / f"{method}.npz").maps


def test_explain(run, model, model_file, image_file, tmp_path):
    """Every method, from the files on disk to the numbers that the engine gives in Python."""
    output = tmp_path / "out"
    arguments = ["--preprocess", "-1..1", "--target", 2, "--output", output]
    result = run("explain", model_file, image_file, *arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(output / "report.html")
    assert "photo.png" in (output / "report.html").read_text(encoding="utf-8")
    summary = explained(output)
    methods = {name: kind for name, kind in METHODS.items() if name != "attention-rollout"}
    assert (list(summary["methods"]), summary["skipped_methods"]) == (list(methods), {})
    (image,) = summary["images"]
    assert (image["file"], image["target"]) == (str(image_file), "class 2")
    square = Image.open(image_file).resize((24, 24), Image.Resampling.BICUBIC, (10, 0, 50, 40))
    inputs = np.asarray(square, np.float32)[None] / 127.5 - 1
    for method, name in methods.items():
        expected = getattr(kv, name)(model).explain(inputs, target=2)
        found = kv.Explanation.load(output / summary["methods"][method]["numbers"])
        np.testing.assert_allclose(found.inputs, inputs, atol=1e-6)
        np.testing.assert_allclose(found.maps, expected.maps, atol=1e-4)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
        assert Image.open(output / image["pictures"][method]).size > (100, 100)


def test_attention_is_rolled_out_where_there_is_any(model, tmp_path):
    case = build("class_token_vit")
    with Steps() as steps:
        found, skipped = run_methods(
            case.model, choose_methods([], None), case.inputs, None, None, steps.step
        )
        with pytest.raises(kv.errors.MethodError, match="with self-attention"):
            run_methods(
                model,
                choose_methods(["attention-rollout"], None),
                np.zeros((1, 24, 24, 3), "float32"),
                None,
                None,
                steps.step,
            )
    assert "attention-rollout" in found
    assert "attention-rollout" not in skipped
    expected = kv.AttentionRollout(case.model)(case.inputs)
    np.testing.assert_allclose(found["attention-rollout"].maps, expected, atol=1e-6)


def test_many_images_are_explained_in_parts_that_fit_together(model):
    images = np.random.default_rng(1).random((35, 24, 24, 3), np.float32)
    targets = [index % 3 for index in range(len(images))]
    with Steps() as steps:
        found, skipped = run_methods(
            model, choose_methods(["grad-cam"], None), images, targets, None, steps.step
        )
    expected = kv.GradCAM(model).explain(images, target=targets)
    assert skipped == {}
    for name in ("maps", "peaks", "inputs", "scores", "targets", "predictions"):
        joined, whole = getattr(found["grad-cam"], name), getattr(expected, name)
        np.testing.assert_allclose(joined, whole, atol=1e-4)
    assert found["grad-cam"].target_names == expected.target_names
    assert found["grad-cam"].diagnosis == expected.diagnosis


def test_a_model_of_one_image_at_a_time(run, model, image_file, tmp_path):
    inputs = keras.Input(batch_shape=(1, 24, 24, 3))
    keras.Model(inputs, model(inputs)).save(tmp_path / "one.keras")
    arguments = ["explain", tmp_path / "one.keras", image_file, image_file, "--method", "saliency"]
    result = run(*arguments, "--output", tmp_path)
    assert result.exit_code == 0, result.output
    first, second = maps(tmp_path, "saliency")
    np.testing.assert_array_equal(first, second)
    names = [image["name"] for image in explained(tmp_path)["images"]]
    assert names == [str(image_file)] * 2


def test_unreadable_images_are_skipped(run, model_file, image_file, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    images = [tmp_path / "text.jpg", image_file, tmp_path / "missing.png"]
    arguments = ["--method", "cam", "--target", "0,2,1", "--output", tmp_path / "out"]
    result = run("explain", model_file, *images, *arguments)
    assert result.exit_code == 1
    errors = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 2
    assert "text.jpg, which is not an image that can be read" in errors[0]
    assert "missing.png, which does not exist" in errors[1]
    summary = explained(tmp_path / "out")
    assert [image["target"] for image in summary["images"]] == ["class 2"]
    assert [failure["file"] for failure in summary["failures"]] == [str(images[0]), str(images[2])]
    assert "missing.png" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_no_readable_image(refused, model_file, tmp_path):
    line = refused("explain", model_file, tmp_path / "missing.png", "--output", tmp_path)
    assert "at least one image" in line
    assert "missing.png, which does not exist" in line


def test_labels_and_target_by_name(run, model_file, image_file, tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\nmoth\n")
    arguments = ["--labels", tmp_path / "labels.txt", "--target", "Dog", "--output", tmp_path]
    result = run("explain", model_file, image_file, "--method", "grad-cam", *arguments)
    assert result.exit_code == 0, result.output
    (image,) = explained(tmp_path)["images"]
    assert image["target"] == "dog"
    assert {name for name, _ in image["top"]} == {"cat", "dog", "moth"}


def test_binary_model_with_two_labels(run, image_file, tmp_path):
    pooling = keras.layers.GlobalAveragePooling2D()
    layers = [keras.layers.Conv2D(4, 3), pooling, keras.layers.Dense(1, activation="sigmoid")]
    keras.Sequential([keras.Input((24, 24, 3)), *layers]).save(tmp_path / "binary.keras")
    (tmp_path / "labels.txt").write_text("no\nyes\n")
    arguments = ["--labels", tmp_path / "labels.txt", "--target", "no", "--method", "saliency"]
    result = run("explain", tmp_path / "binary.keras", image_file, *arguments, "--output", tmp_path)
    assert result.exit_code == 0, result.output
    assert explained(tmp_path)["images"][0]["target"] == "no"


def test_methods_that_do_not_fit_are_skipped_unless_asked_for(run, refused, image_file, tmp_path):
    flat = [keras.layers.Flatten(), keras.layers.Dense(3)]
    keras.Sequential([keras.Input((24, 24, 3)), *flat]).save(tmp_path / "flat.keras")
    result = run("explain", tmp_path / "flat.keras", image_file, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    summary = explained(tmp_path / "out")
    assert list(summary["methods"]) == ["saliency"]
    assert set(summary["skipped_methods"]) == set(METHODS) - {"saliency"}
    assert "Skipped " in result.output
    arguments = ["--method", "saliency", "--method", "cam", "--output", tmp_path / "out"]
    assert "CAM" in refused("explain", tmp_path / "flat.keras", image_file, *arguments)


def test_layer(run, model_file, image_file, tmp_path):
    arguments = ["--method", "grad-cam", "--layer", "conv", "--output", tmp_path]
    result = run("explain", model_file, image_file, *arguments)
    assert result.exit_code == 0, result.output
    facts = explained(tmp_path)["methods"]["grad-cam"]
    assert (facts["layer"], facts["resolution"]) == ("conv", [22, 22])


def test_maps_that_show_nothing_are_remarked(run, model, image_file, tmp_path):
    dead = keras.models.clone_model(model)
    dead.get_layer("conv").set_weights([np.zeros((3, 3, 3, 8)), np.full(8, -1.0)])
    dead.save(tmp_path / "dead.keras")
    arguments = ["--method", "grad-cam", "--output", tmp_path]
    result = run("explain", tmp_path / "dead.keras", image_file, *arguments)
    assert result.exit_code == 0, result.output
    assert "grad-cam, photo.png: " in result.output
    assert explained(tmp_path)["images"][0]["diagnosis"]["grad-cam"]


def test_assumed_scaling_is_said(run, model_file, image_file, tmp_path):
    result = run("explain", model_file, image_file, "--method", "saliency", "--output", tmp_path)
    assert "0..1 (assumed" in result.output
    assert "--preprocess" in result.output
    assert explained(tmp_path)["preprocessing"].startswith("0..1 (assumed")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--layer", "comv"], ["'comv'", "'conv'"]),
        (["--method", "gradcam"], ["'gradcam'", "Closest: grad-cam"]),
        (["--target", "3"], ["0 to 2", "Received: 3"]),
        (["--target", "cat"], ["--labels FILE"]),
        (["--target", "0,1"], ["each of the 1 images"]),
        (["--preprocess", "0-255"], ["'0-255'", "Closest: 0..255"]),
        (["--labels", "missing.txt"], ["missing.txt", "No such file"]),
        (["--import", "no_such_module"], ["'no_such_module'"]),
    ],
)
def test_refused_options(arguments, words, refused, model_file, image_file, tmp_path):
    line = refused("explain", model_file, image_file, "--output", tmp_path, *arguments)
    assert [word for word in words if word not in line] == []


def test_wrong_number_of_labels(refused, model_file, image_file, tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    arguments = ["--labels", tmp_path / "labels.txt", "--output", tmp_path]
    assert "Expected 3 labels" in refused("explain", model_file, image_file, *arguments)


@pytest.mark.parametrize("command", ["explain", "layers"])
def test_a_model_that_was_never_built(command, refused, image_file, tmp_path):
    keras.Sequential([keras.layers.Dense(3)]).save(tmp_path / "unbuilt.keras")
    arguments = [image_file, "--output", tmp_path] if command == "explain" else []
    assert "must be built" in refused(command, tmp_path / "unbuilt.keras", *arguments)


def test_the_folder_is_tried_before_the_model(refused, image_file, tmp_path):
    (tmp_path / "taken").touch()
    for command in (["demo"], ["explain", "missing.keras", image_file]):
        assert "Cannot write to" in refused(*command, "--output", tmp_path / "taken")


def test_internal_errors(run, model_file, image_file, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("a screw\nis loose")

    monkeypatch.setattr(kv.report, "write", fail)
    arguments = ["explain", model_file, image_file, "--method", "saliency", "--output", tmp_path]
    result = run(*arguments)
    assert result.exit_code == 70
    line = result.output.strip().splitlines()[-1]
    assert line.startswith(
        "Error: internal error (RuntimeError: a screw is loose). Run with --debug"
    )
    assert "Traceback" not in result.output
    assert "Traceback" in run(*arguments, "--debug").output


def test_out_of_memory(run, model_file, image_file, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(kv.Saliency, "explain", fail)
    result = run("explain", model_file, image_file, "--method", "saliency", "--output", tmp_path)
    assert result.exit_code == 2
    assert "Pass fewer images" in result.output


def test_full_disk(refused, model_file, image_file, tmp_path, full_disk):
    output = tmp_path / "out"
    line = refused("explain", model_file, image_file, "--method", "saliency", "--output", output)
    assert "File too large" in line
    assert not list(output.glob("*.part"))


def test_saved_model_gets_what_can_be_had(run, refused, model, saved_model, image_file, tmp_path):
    result = run("explain", saved_model, image_file, "--target", 1, "--output", tmp_path)
    assert result.exit_code == 0, result.output
    assert list(explained(tmp_path)["methods"]) == ["saliency"]
    remarks = [line for line in result.output.splitlines() if line.startswith("Skipped ")]
    assert len(remarks) == 1
    assert "grad-cam, cam, guided-saliency, deconvnet" in remarks[0]
    probabilities = keras.Sequential([keras.Input((24, 24, 3)), model])
    inputs = kv.Explanation.load(tmp_path / "saliency.npz").inputs
    with_layers = kv.Saliency(probabilities, target=lambda outputs: outputs[:, 1]).explain(inputs)
    assert maps(tmp_path, "saliency").shape == with_layers.maps.shape
    for arguments in (
        ["explain", saved_model, image_file, "--method", "cam"],
        ["layers", saved_model],
    ):
        extra = ["--output", tmp_path] if arguments[0] == "explain" else []
        assert "shows its inputs and outputs only" in refused(*arguments, *extra)


def test_layers_as_table(run, model_file):
    result = run("layers", model_file)
    assert result.exit_code == 0, result.output
    row = next(line for line in result.stdout.splitlines() if line.startswith("conv "))
    assert row.split() == ["conv", "Conv2D", "(None,", "22,", "22,", "8)", "224", "1"]


def test_layers_for_programs(run, model, model_file):
    expected = list(kv.layers(model).index)
    records = json.loads(run("layers", model_file, "--format", "json").stdout)
    assert [record["address"] for record in records] == expected
    assert records[expected.index("conv")]["output_shape"] == [None, 22, 22, 8]
    lines = run("layers", model_file, "--format", "csv").stdout.splitlines()
    assert lines[0] == "address,type,output_shape,parameters,calls"
    assert len(lines) == len(expected) + 1


@pytest.mark.parametrize("command", ["explain", "layers"])
def test_refused_models(command, refused, image_file, tmp_path):
    arguments = [image_file, "--output", tmp_path] if command == "explain" else []
    assert "does not exist" in refused(command, "missing.keras", *arguments)


def test_version(run):
    assert run("--version").stdout == f"kerasviz {kv.__version__}\n"


@pytest.mark.parametrize("arguments", [["explain"], ["explain", "m.keras"], ["layers"], ["sing"]])
def test_wrong_use(run, arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_demo(run, tmp_path, monkeypatch):
    photos = kv.samples.photos("coffee", "motorcycle")
    monkeypatch.setattr(kv.samples, "photos", lambda: photos)
    result = run("demo", "--output", tmp_path / "demo")
    assert result.exit_code == 0, result.output
    page = Path(result.stdout.splitlines()[-1])
    assert page.stat().st_size > 100_000
    summary = explained(tmp_path / "demo")
    assert list(summary["methods"]) == [m for m in METHODS if m != "attention-rollout"]
    top = {image["name"]: image["top"][0][0] for image in summary["images"]}
    assert top["coffee"] == "espresso"
    assert top["motorcycle"] in ("moped", "motor scooter, scooter")
    assert all(image["licence"] for image in summary["images"])
    (features,) = summary["features"]
    assert [one["name"] for one in features["pictures"]] == [
        f"block_13/expand:{channel}" for channel in (4, 5, 6, 7)
    ]
    drawn = kv.Visualization.load(tmp_path / "demo" / features["numbers"])
    assert (drawn.values > drawn.history[0] + 10).all()
    assert "block_13/expand:7" in page.read_text(encoding="utf-8")
    assert len(list((tmp_path / "demo").glob("*.png"))) == 5 * len(top) + 4 + 1
