"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A .keras or .h5 file, a SavedModel folder, keras.applications:ResNet50 "
        "(its ImageNet weights; ResNet50:none for random ones), or samples:efficientnet_lite0.",
    ),
]
Imports = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="MODULE",
        help="Module that defines the model's custom classes, such as my_package.layers; "
        "may be repeated.",
    ),
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show tracebacks, warnings and TensorFlow's log.")
]
Preprocess = Annotated[
    str | None,
    typer.Option(
        metavar="SCALING",
        help="What the model expects: 0..1, -1..1, 0..255, or a module such as "
        "keras.applications.resnet50. Default: what the model says of itself, else 0..1.",
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Class names: one a line, or JSON. Default: ImageNet's for 1000."
    ),
]
Output = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder for the page, pictures and numbers.")
]
