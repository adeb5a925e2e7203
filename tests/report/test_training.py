"""The page of a run: advice with its curves, maps and pictures over epochs."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.text import Text

import kerasviz as kv
from kerasviz.errors import InputError
from kerasviz.plots.over_epochs import over_epochs
from kerasviz.report.training import run_sections

GENERATOR = np.random.default_rng(0)


def words(figure) -> set[str]:
    return {text.get_text() for text in figure.findobj(Text)}


@pytest.fixture(scope="module", params=["epoch", "step"])
def page(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    first = np.arange(2 * 16.0).reshape(2, 4, 4)
    pictures = GENERATOR.uniform(size=(1, 4, 6, 3))
    with kv.dynamics.RunWriter(folder) as writer:
        for place, maps in enumerate([first, first**2, -first, 0 * first]):
            scalars = {"activations/conv/dead_units": 0.2 * place, "loss": 1.0}
            drawn = {"pictures": {"cats": pictures}} if place < 2 else {}
            arrays = {"explanations": {"GradCAM": maps}, **drawn}
            if request.param == "epoch":
                writer.write_epoch(place, scalars, arrays)
            else:
                writer.write_step(place, scalars, arrays, epoch=0)
    return request.param, {s.title: s for s in run_sections(kv.dynamics.Run(folder))}


def test_maps_and_pictures_with_their_scores(page) -> None:
    unit, sections = page
    [(caption, maps)] = sections["How explanations changed"].figures.items()
    assert caption == f"GradCAM: 4 {unit}s are kept"
    told = words(maps)
    assert {"image 0", "image 1"} <= told
    titles = {f"{unit} 0", f"{unit} 1\n1.00 with previous", f"{unit} 2\n-1.00 with previous"}
    assert {"\n".join(t.split("\n")[:2]) for t in told if unit in t} == {
        *(title if "\n" in title else f"{title}\nno score: constant" for title in titles),
        f"{unit} 3\nno score: constant",
    }
    assert len(maps.axes) == 2 * 4 + 2
    [(caption, pictures)] = sections["How features changed"].figures.items()
    assert caption == f"cats: 2 {unit}s are kept"
    assert {"picture 0", f"{unit} 0", f"{unit} 1"} <= words(pictures)


def test_advice_with_the_curve_it_comes_from(page) -> None:
    unit, sections = page
    first = sections["What to look at"]
    assert first.text.startswith(f"conv: 60% dead units since {unit} 3.")
    figure = first.figures["The curves that these sentences come from"]
    [axes] = figure.axes
    curve, threshold = axes.lines
    np.testing.assert_allclose(curve.get_ydata(), [0.0, 0.2, 0.4, 0.6])
    assert set(threshold.get_ydata()) == {0.5}
    assert axes.get_xlabel() == unit
    assert list(first.tables["Where that comes from"]["since"]) == [f"{unit} 3"]
    assert f"Activations, last {unit}" in sections["The last numbers"].tables


def test_arrays_of_other_axes_are_refused() -> None:
    with pytest.raises(InputError, match=r"3 axes.*Received: shapes \[\(4, 4\)\]"):
        over_epochs([np.zeros((4, 4))], ["epoch 0"], title="", is_map=True)
