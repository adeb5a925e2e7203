"""An explanation holds together, can be sliced, and survives the disk or says why not."""

from __future__ import annotations

import dataclasses
import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kerasviz.attribution.explanation import Explanation
from kerasviz.errors import InputError, OutputError
from kerasviz.files import write_atomically
from tests.plots.handmade import bare, blob, explanation

TWO_INPUTS = {
    "maps": {"left": np.ones((2, 3, 4)), "a/right": np.zeros((2, 5))},
    "peaks": {"left": [1.0, 2.0], "a/right": [3.0, 4.0]},
    "inputs": {"left": np.zeros((2, 3, 4, 1)), "a/right": np.zeros((2, 5, 2))},
    "layer": {"left": "enc/conv", "a/right": "enc2/conv"},
    "resolution": {"left": (3, None), "a/right": (5,)},
}


def same(first: object, second: object) -> bool:
    if isinstance(first, dict) and isinstance(second, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return first.dtype == second.dtype and bool(np.array_equal(first, second))
    return type(first) is type(second) and first == second


def differing_fields(first: Explanation, second: Explanation) -> list[str]:
    names = [item.name for item in dataclasses.fields(Explanation)]
    return [name for name in names if not same(getattr(first, name), getattr(second, name))]


def test_arrays_get_their_types_and_texts_their_tuples() -> None:
    found = explanation(peaks=[1, 2], targets=[0, 1], target_names=["a", "b"], resolution=[7, 7])
    assert found.maps.dtype == found.peaks.dtype == found.scores.dtype == np.float32
    assert found.targets.dtype == np.int64
    assert found.target_names == ("a", "b")
    assert found.resolution == (7, 7)
    assert found.diagnosis == ("", "")


def test_numpy_values_in_parameters_become_plain_ones() -> None:
    found = explanation(parameters={"samples": np.int64(5), "sizes": (1, 2), "std": np.arange(2)})
    assert found.parameters == {"samples": 5, "sizes": [1, 2], "std": [0, 1]}


def test_what_json_cannot_hold_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"`parameters` must hold only what JSON.*Describe"):
        explanation(parameters={"target": object()})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peaks": [1.0]}, r"`peaks` must have one entry a map: 2\. Received: 1"),
        ({"inputs": np.zeros((3, 4))}, r"`inputs` must have one entry a map: 2\. Received: 3"),
        ({"scores": 1.0}, r"`scores` must have one entry a map"),
        ({"targets": [1]}, r"`targets` must have one entry a map"),
        ({"target_names": ("a",)}, r"`target_names` must have one entry a map"),
        ({"diagnosis": ("a", "b", "c")}, r"`diagnosis` must have one entry a map"),
        ({"predictions": np.zeros((1, 6))}, r"`predictions` must have one entry a map"),
        ({"predictions": np.zeros((2, 3, 6))}, r"`predictions` must have the shape"),
        ({"labels": ("a", "b")}, r"`labels` must name each of the 6 outputs. Received: 2"),
        ({"target_names": "ab"}, r"`target_names` must be a sequence of texts"),
        ({"maps": 1.0}, r"`maps` must have the shape \(batch"),
        ({"maps": {}, "peaks": {}, "inputs": {}}, r"`maps` must hold at least one input"),
        ({"peaks": {"left": [1, 2]}}, r"`peaks` must have the structure of `maps`: ndarray"),
        ({"inputs": np.array([object()] * 2)}, r"`inputs` must be arrays of numbers"),
    ],
)
def test_fields_that_disagree_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        explanation(**changes)


def test_a_map_of_an_input_that_is_missing_is_refused() -> None:
    with pytest.raises(InputError, match=r"`inputs` must have an entry for each.*\['a/right'\]"):
        explanation(**TWO_INPUTS | {"inputs": {"left": np.zeros((2, 3, 4, 1))}})


def test_fields_cannot_be_replaced() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        explanation().method = "other"


def test_one_sample_keeps_all_that_belongs_to_it() -> None:
    second = explanation(diagnosis=("", "all zero"))[1]
    assert len(second) == 1
    assert second.target_names == ("espresso",)
    assert second.diagnosis == ("all zero",)
    assert second.scores.tolist() == [3.5]
    assert np.array_equal(second.maps[0], explanation().maps[1])
    assert np.array_equal(second.predictions, explanation().predictions[1:])
    assert second.layer == "encoder/conv"


def test_one_sample_of_several_inputs() -> None:
    second = explanation(**TWO_INPUTS)[-1]
    assert second.peaks["a/right"].tolist() == [4.0]
    assert second.inputs["left"].shape == (1, 3, 4, 1)


def test_slices_and_iteration() -> None:
    found = explanation()
    assert differing_fields(found[:], found) == []
    assert [part.target_names for part in found] == [("tabby cat",), ("espresso",)]


@pytest.mark.parametrize("index", [2, -3])
def test_an_index_outside_says_what_is_there(index: int) -> None:
    with pytest.raises(IndexError, match=r"must be in \[-2, 1\]"):
        explanation()[index]


def test_top_is_ordered_and_named() -> None:
    first, second = explanation().top(2)
    assert [name for name, _ in first] == ["tabby cat", "lynx"]
    assert [name for name, _ in second] == ["espresso", "tabby cat"]
    assert first[0][1] == pytest.approx(0.6)


def test_top_of_few_outputs_without_labels_and_with_nan() -> None:
    found = explanation(predictions=[[np.nan, 2.0], [5.0, 3.0]], labels=None)
    assert [name for name, _ in found.top()[0]] == ["class 1", "class 0"]
    assert found.top(1)[1] == [("class 0", 5.0)]


def test_top_of_one_output_takes_the_second_of_two_labels() -> None:
    found = explanation(predictions=[[0.8], [0.3]], labels=("no", "yes"))
    assert [names[0][0] for names in found.top()] == ["yes", "yes"]


def test_top_without_predictions_is_empty_and_k_is_checked() -> None:
    assert explanation(predictions=None).top() == [[], []]
    with pytest.raises(InputError, match=r"`k` must be at least 1\. Received: 0"):
        explanation().top(0)


def test_repr_names_method_maps_layer_and_the_commonest_diagnosis() -> None:
    assert repr(explanation()) == "Explanation(Grad-CAM, 2 maps of 24×32, layer 'encoder/conv' 7×9)"
    bad = explanation(diagnosis=("", "all zero: " + "very " * 40), layer=None)
    assert "diagnosis for 1 of 2: all zero: very" in repr(bad)
    assert len(repr(bad)) < 150
    assert "layer" not in repr(bad)
    several = repr(explanation(**TWO_INPUTS))
    assert "2 maps of 3×4 and 5, layer 'enc/conv' 3×?, 'enc2/conv' 5" in several


@pytest.mark.parametrize("changes", [{}, TWO_INPUTS, {"predictions": None, "targets": None}])
def test_saved_and_loaded_is_the_same(tmp_path: Path, changes: dict) -> None:
    found = explanation(parameters={"normalize": True}, diagnosis=("", "why \x00 ü"), **changes)
    path = found.save(tmp_path / "made" / "here.npz")
    assert path == tmp_path / "made" / "here.npz"
    assert differing_fields(Explanation.load(path), found) == []


def test_input_types_unknown_to_numpy_files_survive(tmp_path: Path) -> None:
    import ml_dtypes

    half = np.ones((1, 2, 2, 1), dtype=ml_dtypes.bfloat16)
    loaded = Explanation.load(bare(blob(2, 2, 0, 0)[None], half).save(tmp_path / "a.npz"))
    assert loaded.inputs.dtype == np.float32
    words = bare(np.ones((1, 2)), np.array([["a", "bcd"]]))
    assert Explanation.load(words.save(tmp_path / "b.npz")).inputs.tolist() == [["a", "bcd"]]


def test_nothing_in_the_file_needs_pickle(tmp_path: Path) -> None:
    path = explanation().save(tmp_path / "a.npz")
    with np.load(path, allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


def test_loading_refuses_pickles(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", explanation=np.array([{"format": "x"}], dtype=object))
    with pytest.raises(InputError, match=r"allow_pickle=False"):
        Explanation.load(tmp_path / "a.npz")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.npz', which does not exist"):
        Explanation.load(tmp_path / "gone.npz")


@pytest.mark.parametrize("kept", [0, 10, 300, 0.5, 0.99])
def test_a_cut_file_is_refused(tmp_path: Path, kept: float) -> None:
    path = explanation().save(tmp_path / "a.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else int(kept)])
    with pytest.raises(InputError, match=r"can't be read as one"):
        Explanation.load(path)


def test_any_damaged_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    found = bare(blob(3, 3, 0.5, 0.5)[None], np.ones((1, 3, 3, 1)))
    path = found.save(tmp_path / "a.npz")
    whole = path.read_bytes()
    refused = 0
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            assert differing_fields(Explanation.load(path), found) == []
        except InputError:
            refused += 1
    assert refused > len(whole) // 14


def test_other_files_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.npz"
    np.savez(other, x=np.zeros(3))
    with pytest.raises(InputError, match="KeyError"):
        Explanation.load(other)
    other.write_text("not a zip")
    with pytest.raises(InputError, match="can't be read as one"):
        Explanation.load(other)
    with other.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match="can't be read as one"):
        Explanation.load(other)
    with pytest.raises(InputError, match="can't be read as one"):
        Explanation.load(tmp_path)


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = explanation().save(tmp_path / "a.npz")
    with np.load(path) as file:
        members = {name: file[name] for name in file.files}
    newer = members["explanation"].item().replace('"version": 1', '"version": 99')
    np.savez(path, **members | {"explanation": np.array(newer)})
    with pytest.raises(InputError, match="newer kerasviz"):
        Explanation.load(path)


def test_saving_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    explanation("CAM").save(path)
    explanation("Saliency").save(str(path))
    assert Explanation.load(path).method == "Saliency"
    assert [item.name for item in tmp_path.iterdir()] == ["a.npz"]
    assert zipfile.is_zipfile(path)


def test_a_full_disk_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = explanation("CAM").save(tmp_path / "a.npz")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"a\.npz.*Choose a folder"):
            explanation("Saliency").save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert Explanation.load(path).method == "CAM"
    assert [item.name for item in tmp_path.iterdir()] == ["a.npz"]


def test_places_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "file" / "a.npz", tmp_path / "pipe"):
        with pytest.raises(OutputError, match=r"`path` must be a file that can be written"):
            explanation().save(place)
    assert (tmp_path / "file").read_text() == "here"
    assert (tmp_path / "pipe").is_fifo()


def test_an_interrupted_write_leaves_the_earlier_file(tmp_path: Path) -> None:
    def fail(file: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "a").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", fail)
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("a", "before")]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("before")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomically(tmp_path / "link", lambda file: file.write(b"after"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "after"


def test_plot_returns_a_figure_and_saves_it_on_request(tmp_path: Path) -> None:
    figure = explanation().plot(path=tmp_path / "a.png")
    assert figure.axes
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_the_module_needs_neither_matplotlib_nor_tensorflow() -> None:
    code = (
        "import sys, kerasviz.attribution.explanation\n"
        "print([name for name in ('matplotlib', 'tensorflow', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
