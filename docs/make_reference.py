"""Write docs/reference/*.md from the docstrings of the library.

    python docs/make_reference.py

`tests/test_docs.py` fails when the pages no longer say what the docstrings say.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import kerasviz as kv
from kerasviz.probe.histograms import Histograms
from kerasviz.probe.saving import Kept

NOTE = """<!-- Written by docs/make_reference.py from the docstrings. Edit those. -->
<!-- fmt: off -->"""
FOLDER = Path(__file__).parent / "reference"
TARGETS = ("Class", "Mask", "Function", "Sum", "to_target", "label_index", "class_name", "Target")
HIDDEN = ("call", "predict_step", "make_train_function")
FIELDS = ("Args", "Call arguments", "Attributes", "Returns", "Yields", "Raises", "Example")
HEADING = re.compile(rf"^({'|'.join(FIELDS)}|Reference):$", re.MULTILINE)
ENTRY = re.compile(r"^(?P<names>[\w*`\"' ,.]{1,60}?): (?P<text>.*)$", re.DOTALL)
LISTED = ("Args", "Call arguments", "Attributes", "Raises")


def pages() -> dict[str, str]:
    """The text of every page, by file name."""
    return {
        "explainers.md": _page("Explainers", _explainers()),
        "explanation.md": _page("Explanation", [_class("kv.Explanation", kv.Explanation)]),
        "layers.md": _page("Layers and activations", _layers()),
        "targets.md": _page("Targets", _module("kv.targets", kv.targets, TARGETS)),
        "activation-maximization.md": _page("Activation maximization", _visualizers()),
        "objectives.md": _page("Objectives", _module("kv.objectives", kv.objectives)),
        "images.md": _page("Images", _module("kv.images", kv.images)),
        "transforms.md": _page("Transforms", _module("kv.transforms", kv.transforms)),
        "callbacks.md": _page("Callbacks", _module("kv.callbacks", kv.callbacks)),
        "plots.md": _page("Plots", _module("kv.plots", kv.plots)),
        "understanding.md": _page("Understanding many at once", _understanding()),
        "attention.md": _page("Attention", _module("kv.attention", kv.attention)),
        "weights.md": _page("Weights", _module("kv.weights", kv.weights)),
        "dynamics.md": _page(
            "Dynamics",
            [_function("kv.profile", kv.profile), *_module("kv.dynamics", kv.dynamics)],
        ),
        "receptive-fields.md": _page(
            "Receptive fields", _module("kv.receptive_fields", kv.receptive_fields)
        ),
        "studies.md": _page("Studies", _module("kv.studies", kv.studies)),
        "report.md": _page("Report", _module("kv.report", kv.report)),
        "samples.md": _page("Samples", _module("kv.samples", kv.samples)),
        "errors.md": _page("Errors", _module("kv.errors", kv.errors)),
        "command-line.md": _page("Command line", _commands()),
    }


def _page(title: str, parts: list[str]) -> str:
    text = "\n\n".join([f"# {title}", NOTE, *parts])
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _explainers() -> list[str]:
    base = kv.GradCAM.__mro__[2]
    found = [
        _class(f"kv.{kind.__name__}", kind)
        for kind in (
            kv.Saliency,
            kv.GuidedSaliency,
            kv.DeconvNet,
            kv.CAM,
            kv.GradCAM,
            kv.AttentionRollout,
        )
    ]
    return [*found, "## What all explainers share", _class("Explainer", base)]


def _visualizers() -> list[str]:
    return [
        _class("kv.ActivationMaximization", kv.ActivationMaximization),
        _class("kv.Visualization", kv.Visualization),
    ]


def _understanding() -> list[str]:
    results = {
        kv.ActivationGrid: "Grid",
        kv.NeuronGroups: "Groups",
        kv.semantic_dictionary: "Dictionary",
        kv.AttributionChannel: "ChannelAttribution",
        kv.AttributionSpatial: "SpatialAttribution",
        kv.ActivationAtlas: "Atlas",
        kv.dataset_examples: "Examples",
    }
    parts = []
    for value, name in results.items():
        write = _class if inspect.isclass(value) else _function
        parts.append(write(f"kv.{value.__name__}", value))
        parts.append(_class(name, getattr(inspect.getmodule(value), name)))
    return parts


def _layers() -> list[str]:
    return [
        _function("kv.layers", kv.layers),
        _function("kv.activations", kv.activations),
        _class("kv.Activations", kv.Activations),
    ]


def _module(name: str, module: ModuleType, names: Sequence[str] | None = None) -> list[str]:
    parts = [_prose(inspect.getdoc(module) or "")]
    for member in names or public_names(module):
        value = getattr(module, member)
        if inspect.isclass(value):
            parts.append(_class(f"{name}.{member}", value))
        elif inspect.isfunction(value):
            parts.append(_function(f"{name}.{member}", value))
    return parts


def public_names(module: ModuleType) -> list[str]:
    """What a module offers: its `__all__`, or what is defined in it and has a docstring."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and inspect.getdoc(value)
    ]


def _class(name: str, kind: type) -> str:
    parts = [f"## {name}", _signature(name, kind), _prose(vars(kind).get("__doc__") or "")]
    for member, value in _members(kind).items():
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if (
            member.startswith("_")
            or member in HIDDEN
            or not inspect.isfunction(function)
            or not function.__doc__
        ):
            continue
        is_property = isinstance(value, property)
        parts.append(f"### {name.rpartition('.')[2]}.{member}")
        parts.append("" if is_property else _signature(member, function))
        parts.append(_prose(function.__doc__))
    return "\n\n".join(parts)


def _members(kind: type) -> dict[str, Any]:
    """What a class defines, and what it inherits from those that only add to results."""
    inherited = [base for base in kind.__mro__[1:] if base in (Kept, Histograms)]
    return {k: v for base in (kind, *inherited) for k, v in vars(base).items()}


def _function(name: str, function: Any) -> str:
    return "\n\n".join([f"## {name}", _signature(name, function), _prose(function.__doc__ or "")])


def _signature(name: str, value: Any) -> str:
    if inspect.isclass(value) and issubclass(value, Exception | Warning):
        bases = ", ".join(base.__name__ for base in value.__bases__)
        return f"`{name}({bases})`"
    signature = inspect.signature(value)
    texts = [_parameter(one) for one in _without_self(signature)]
    closing = f") -> {signature.return_annotation}" if _has_result(value, signature) else ")"
    line = f"{name}({', '.join(texts)}{closing}"
    if len(line) > 88:
        inner = "".join(f"    {text},\n" for text in texts)
        line = f"{name}(\n{inner}{closing}"
    return "```py\n{}\n```".format(line.replace("'", '"'))


def _parameter(parameter: Any) -> str:
    if isinstance(parameter, str):
        return parameter
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    text = stars.get(parameter.kind, "") + parameter.name
    if parameter.annotation is not parameter.empty:
        text += f": {parameter.annotation}"
    if parameter.default is parameter.empty:
        return text
    default = "..." if repr(parameter.default).startswith("<") else repr(parameter.default)
    return f"{text} = {default}"


def _without_self(signature: inspect.Signature) -> Iterator[Any]:
    by_name_only = inspect.Parameter.KEYWORD_ONLY
    star = False
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is by_name_only and not star:
            star = True
            if not any(
                p.kind is inspect.Parameter.VAR_POSITIONAL for p in signature.parameters.values()
            ):
                yield "*"
        yield parameter


def _has_result(value: Any, signature: inspect.Signature) -> bool:
    return not inspect.isclass(value) and signature.return_annotation is not signature.empty


def _prose(docstring: str) -> str:
    """A docstring as markdown: fields become bold headings, their entries lists."""
    pieces = HEADING.split(inspect.cleandoc(docstring))
    parts = [pieces[0].strip()]
    for field, body in zip(pieces[1::2], pieces[2::2], strict=True):
        parts += [f"**{field}**", _field(field, inspect.cleandoc("\n" + body))]
    return "\n\n".join(parts)


def _field(field: str, body: str) -> str:
    if field in LISTED:
        return "\n".join(_item(entry) for entry in re.split(r"\n(?=\S)", body))
    if field == "Example" and ">>>" in body and "```" not in body:
        return f"```pycon\n{body}\n```"
    return body


def _item(entry: str) -> str:
    text = " ".join(entry.split())
    match = ENTRY.match(text)
    if match is None:
        return f"- {text}"
    names = ", ".join(f"`{name.strip('` ')}`" for name in match["names"].split(","))
    return f"- {names}: {match['text']}"


def _commands() -> list[str]:
    import typer

    from kerasviz.cli.application import app

    group = typer.main.get_command(app)
    return [_command(name, command) for name, command in group.commands.items()]


def _command(name: str, command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    shown = [f"{one.metavar}{'...' if one.nargs == -1 else ''}" for one in arguments]
    usage = " ".join(["kerasviz", name, *shown, "[OPTIONS]"])
    rows = [f"- `{one.metavar}`: {one.help}" for one in arguments]
    rows += [
        f"- `{' '.join(filter(None, [*one.opts, one.metavar]))}`: {one.help}" for one in options
    ]
    return "\n\n".join([f"## kerasviz {name}", f"`{usage}`", command.help, "\n".join(rows)])


def main() -> None:
    """Write all pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(FOLDER / name)


if __name__ == "__main__":
    main()
