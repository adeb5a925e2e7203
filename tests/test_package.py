"""The package as a whole: its names, what importing it costs, what ships with it."""

from __future__ import annotations

import ast
import configparser
import fnmatch
import functools
import subprocess
import sys
from pathlib import Path

import kerasviz as kv

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "kerasviz").rglob("*.py"))
HEAVY = {"tensorflow", "keras", "numpy", "pandas", "matplotlib", "scipy", "sklearn", "jinja2"}
COMMON = {"errors", "files", "lazy"}
METHOD = COMMON | {"probe", "samples", "plots"}
BELOW = {
    "probe": COMMON | {"probe"},
    "plots": COMMON | {"plots"},
    "samples": COMMON | {"samples"},
    "attribution": METHOD | {"attribution"},
    "features": METHOD | {"features"},
    "receptive_fields": METHOD | {"receptive_fields"},
    "weights": METHOD | {"weights", "features"},
    "attention": METHOD | {"attention"},
    "dynamics": METHOD | {"dynamics"},
    "studies": METHOD | {"studies", "dynamics", "receptive_fields"},
    "callbacks": COMMON
    | {"callbacks", "plots", "dynamics", "attribution", "features", "receptive_fields"},
}
TENSORFLOW_ROOMS = (
    "kerasviz/probe/backend/",
    "kerasviz/cli/quiet.py",
    "kerasviz/cli/saved_models.py",
)


def test_public_names_are_pinned() -> None:
    assert sorted(kv.__all__) == [
        "ActivationAtlas",
        "ActivationGrid",
        "ActivationMaximization",
        "Activations",
        "AttentionRollout",
        "AttributionChannel",
        "AttributionSpatial",
        "CAM",
        "DeconvNet",
        "Explanation",
        "GradCAM",
        "GuidedSaliency",
        "NeuronGroups",
        "Saliency",
        "Visualization",
        "activations",
        "attention",
        "callbacks",
        "dataset_examples",
        "dynamics",
        "errors",
        "images",
        "layers",
        "objectives",
        "plots",
        "profile",
        "receptive_fields",
        "report",
        "samples",
        "semantic_dictionary",
        "studies",
        "targets",
        "transforms",
        "weights",
    ]
    for name in kv.__all__:
        assert getattr(kv, name) is not None
        assert name in dir(kv)


def test_importing_is_light() -> None:
    code = "import sys, kerasviz; print(*{m.split('.')[0] for m in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(run.stdout.split())


def test_each_public_name_imports_by_itself() -> None:
    """A fresh process per name finds import cycles."""
    code = "import sys, kerasviz; getattr(kerasviz, sys.argv[1])"
    for name in ("GradCAM", "report"):
        subprocess.run([sys.executable, "-c", code, name], capture_output=True, check=True)


@functools.cache
def imported_modules(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_imports_point_downwards() -> None:
    for path in SOURCES:
        parts = path.relative_to(ROOT).parts
        allowed = BELOW.get(parts[1])
        for module in imported_modules(path):
            if allowed and module.startswith("kerasviz."):
                assert module.split(".")[1] in allowed, f"{path} imports {module}"


def test_only_the_backend_imports_tensorflow() -> None:
    for path in SOURCES:
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(TENSORFLOW_ROOMS):
            tops = {module.split(".")[0] for module in imported_modules(path)}
            assert "tensorflow" not in tops, name


def test_nothing_uses_the_private_side_of_keras() -> None:
    for path in SOURCES:
        assert not [m for m in imported_modules(path) if m.startswith("keras.src")], path


def test_all_data_files_ship() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    shipped = {
        package.replace(".", "/"): patterns.split()
        for package, patterns in config["options.package_data"].items()
    }
    for path in (ROOT / "kerasviz").rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            folder = path.parent.relative_to(ROOT).as_posix()
            assert any(fnmatch.fnmatch(path.name, p) for p in shipped.get(folder, [])), path


def test_the_library_holds_no_assert() -> None:
    for path in SOURCES:
        nodes = ast.walk(ast.parse(path.read_text()))
        assert not [n for n in nodes if isinstance(n, ast.Assert)], path
