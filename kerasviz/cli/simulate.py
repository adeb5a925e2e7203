"""`kerasviz simulate`: how much attention weights can change what flows through a network."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasviz.cli.outputs import OutputFolder
from kerasviz.cli.printing import printable
from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras
from kerasviz.errors import InputError, KerasvizWarning

if TYPE_CHECKING:
    import pandas as pd

    from kerasviz.attention.settings import Settings
    from kerasviz.attention.simulation import Simulation
    from kerasviz.attention.sweeping import Sweep

_DPI = 150
_TITLE = "How much attention can change a network"
_TEXT = (
    "Random networks, with and without attention on the same random kernels. The expectation is "
    "computed in closed form, without drawing weights. This is an idealized test of what such a "
    "distribution of weights can do: in a real network attention works on whole feature maps and "
    "its weights are not independent of what flows through.\n\n"
    "Attention explodes a network where the expected mean is at least {high:g} times that of the "
    "same network without attention, and starves it where it is at most {low:g} times."
)


@dataclass(frozen=True)
class SimulateOptions:
    """What the command line asks for; see `kerasviz simulate --help`."""

    kind: str = "dense"
    multiplier_mean: float | None = None
    multiplier_std: float | None = None
    bias_mean: float | None = None
    bias_std: float | None = None
    depth: int | None = None
    size: int | None = None
    seeds: int = 8
    filters: int | None = None
    model: str | None = None
    group: str | None = None
    output: Path = Path("kerasviz-simulate")
    imports: Sequence[str] = field(default=())
    debug: bool = False


def run_simulate(options: SimulateOptions) -> None:
    """Simulate random networks with and without attention; write a page, pictures and numbers.

    Args:
        options: What the command line asks for.

    Raises:
        KerasvizError: What is asked for cannot be done; the message says why.
    """
    _check(options)
    folder = OutputFolder(options.output)
    with Steps() as steps:
        with steps.step("Starting TensorFlow"):
            import_keras(options.debug)
        page = _simulate(options, folder, steps)
    print(page)


def _simulate(options: SimulateOptions, folder: OutputFolder, steps: Steps) -> Path:
    from kerasviz.attention.simulation import simulated

    settings, source = _settings(options, steps)
    with warnings.catch_warnings(), _progress(settings, options, steps) as progress:
        warnings.simplefilter("ignore", KerasvizWarning)
        found = simulated(settings, options.seeds, True, progress)
    found = dataclasses.replace(found, provenance=found.provenance | source)
    with steps.step("Writing the page"):
        page = _write(found, _surroundings(settings), folder)
    for one in _networks(found):
        if one.diagnosis:
            steps.say(one.diagnosis)
    print(*_lines(found), sep="\n")
    return page


def _settings(options: SimulateOptions, steps: Steps) -> tuple[Settings, dict[str, Any]]:
    """What to simulate, and where its distribution comes from."""
    from kerasviz.attention import settings

    given: dict[str, Any] = {"depth": options.depth, "size": options.size}
    if options.filters is not None:
        given["filters"] = options.filters
    for name, default in (("multiplier", settings.MULTIPLIER), ("bias", settings.BIAS)):
        parts = (getattr(options, f"{name}_mean"), getattr(options, f"{name}_std"))
        given[name] = tuple(
            usual if part is None else part for part, usual in zip(parts, default, strict=True)
        )
    source: dict[str, Any] = {}
    if options.model is not None:
        distribution, source = _of_model(options, steps)
        given |= distribution
    found = settings.checked(options.kind, **given)
    settings.check_memory(found, 2, options.seeds)
    return found, source


def _of_model(options: SimulateOptions, steps: Steps) -> tuple[dict[str, Any], dict[str, Any]]:
    from kerasviz.attention.group_weights import group_distribution
    from kerasviz.cli import models, saved_models

    model, group = str(options.model), str(options.group)
    with steps.step(f"Loading {model}"):
        loaded = models.load_model(model, options.imports)
        saved_models.expect_layers(loaded)
        found = group_distribution(loaded, group)
    source = {"model": loaded.name, "group": group, "weights": found.counts}
    depth = found.depth if options.depth is None else options.depth
    return {"multiplier": found.multiplier, "bias": found.bias, "depth": depth}, source


@contextlib.contextmanager
def _progress(
    settings: Settings, options: SimulateOptions, steps: Steps
) -> Iterator[Callable[[int], Callable[[], object]]]:
    total = options.seeds * settings.depth
    text = f"Simulating {options.seeds} × {settings.depth} layers with and without attention"
    with steps.step(text, total=total) as advance:
        yield lambda _: advance


def _surroundings(settings: Settings) -> Sweep:
    """The closed form around what was simulated."""
    import numpy as np

    from kerasviz.attention.sweeping import sweep

    multiplier, depth = settings.multiplier, max(2, min(2 * settings.depth, settings.depth + 11))
    own: dict[str, Any] = {"size": settings.size, "bias": settings.bias, "multiplier": multiplier}
    if settings.kind == "cnn":
        own |= {"filters": settings.filters, "divisor": settings.divisor}
    reach = 0.4 * max(1.0, abs(multiplier[0]))
    values = np.linspace(multiplier[0] - reach, multiplier[0] + reach, 17)
    over = {"depth": range(1, depth + 1), "multiplier_mean": values}
    return sweep(settings.kind, over, **own)


def _write(found: Simulation, around: Sweep, folder: OutputFolder) -> Path:
    import kerasviz
    from kerasviz.plots import to_png

    page, summary = folder.file("report", ".html"), folder.file("summary", ".json")
    pictures = {
        "impact": to_png(found.plot(), dpi=_DPI),
        "sweep": to_png(around.plot("ratio", marks=[_place(found)]), dpi=_DPI),
    }
    files = {name: folder.file(name, ".png") for name in pictures}
    for name, content in pictures.items():
        folder.write(files[name], content)
    means = folder.file("means", ".csv")
    folder.write(means, _means(found).to_csv(index=False).encode())
    section = kerasviz.report.Section(
        "With and without attention",
        text=_text(found, around),
        figures={
            "Last layer of one seed, and the mean of each layer": pictures["impact"],
            "Closed form: depth and mean of the multiplier (star: as simulated)": pictures["sweep"],
        },
        tables={"Mean activation of the last layer": found.table(), "Settings": _facts(found)},
    )
    kerasviz.report.write(page, section, title=_TITLE)
    folder.write_json(summary, _summary(found, page, means, files))
    return page


def _place(found: Simulation) -> tuple[float, float]:
    return found.parameters["multiplier"][0], found.parameters["depth"]


def _text(found: Simulation, around: Sweep) -> str:
    low, high = around.limits
    remarks = [one.diagnosis for one in _networks(found) if one.diagnosis]
    return "\n\n".join([_TEXT.format(low=low, high=high), *remarks])


def _networks(found: Simulation) -> list[Simulation]:
    return [one for one in (found.baseline, found) if one is not None]


def _name(one: Simulation) -> str:
    return "with attention" if one.attention else "without attention"


def _means(found: Simulation) -> pd.DataFrame:
    """A row a network, seed and layer, with the expectation."""
    import pandas as pd

    rows = [
        {
            "network": _name(one),
            "seed": seed,
            "layer": layer + 1,
            "mean": one.layer_means[index, layer],
            "expected": one.expected_layers[layer],
            "expected_std": one.expected_layer_stds[layer],
        }
        for one in _networks(found)
        for index, seed in enumerate(one.seeds)
        for layer in range(one.layer_means.shape[1])
    ]
    return pd.DataFrame(rows)


def _facts(found: Simulation) -> pd.DataFrame:
    import pandas as pd

    facts = found.parameters | {"seeds": len(found.seeds)} | found.provenance
    texts = {name: _fact(value) for name, value in facts.items() if name != "attention"}
    return pd.DataFrame({"value": texts}).rename_axis("setting")


def _fact(value: Any) -> str:
    if isinstance(value, list):
        return f"mean {value[0]:.4g}, std {value[1]:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{number:,} in {name}" for name, number in value.items())
    return printable(str(value))


def _summary(
    found: Simulation, page: Path, means: Path, pictures: Mapping[str, Path]
) -> dict[str, Any]:
    import kerasviz

    networks = [
        {
            "name": _name(one),
            "mean": _finite(one.mean),
            "std": _finite(one.std),
            "expected": _finite(one.expected),
            "expected_std": _finite(one.expected_std),
            "means": [_finite(float(mean)) for mean in one.means],
            "diagnosis": one.diagnosis,
        }
        for one in _networks(found)
    ]
    return {
        "kerasviz": kerasviz.__version__,
        "page": page.name,
        "numbers": means.name,
        "pictures": {name: path.name for name, path in pictures.items()},
        "kind": found.kind,
        "parameters": found.parameters,
        "seeds": list(found.seeds),
        "networks": networks,
        "provenance": found.provenance,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _lines(found: Simulation) -> list[str]:
    """What is printed: a line a network."""
    from kerasviz.plots.reading import with_spread

    return [
        f"{_name(one) + ':':19}mean {with_spread(one.mean, one.std)} over {len(one.seeds)} "
        f"seeds, expected {with_spread(one.expected, one.expected_std)}"
        for one in _networks(found)
    ]


def _check(options: SimulateOptions) -> None:
    parts = ("multiplier_mean", "multiplier_std", "bias_mean", "bias_std")
    given = [f"--{name.replace('_', '-')}" for name in parts if getattr(options, name) is not None]
    if (options.model is None) != (options.group is None):
        missing = "--group NAME" if options.group is None else "--model MODEL"
        raise InputError(
            f"Expected --model and --group together. Received: one of them. Add {missing}."
        )
    if options.model is not None and given:
        raise InputError(
            "Expected the distribution either of a model's group or by numbers. Received: --model "
            f"and {', '.join(given)}. Leave one of them out."
        )
    if options.kind == "dense" and options.filters is not None:
        raise InputError(
            "Expected --filters for a CNN only. Received: --filters with dense layers. "
            "Run `kerasviz simulate cnn`, or leave it out."
        )
