"""The manual and the docstrings: what they show runs, what they name exists."""

from __future__ import annotations

import ast
import doctest
import inspect
import os
import re
import runpy
import subprocess
import sys
import textwrap
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasviz as kv
from tests.models import EXTRA_SPELLINGS, KINDS, SPELLINGS, ClassToken, TransformerBlock

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROSE = [page for page in PAGES if page.parent.name != "reference"]
BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[\w ]+) -->\n)?^(?P<indent> *)```python\n(?P<code>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\(([^)\s]+)\)")

pytestmark = pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")


def short(page: Path) -> str:
    """A page's name below the root."""
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A small model with the layers, and the number of classes, that the examples speak of."""
    keras.utils.set_random_seed(0)
    same: dict[str, Any] = {"padding": "same"}
    inner = keras.Input((None, None, 3))
    conv = keras.layers.Conv2D(6, 3, activation="relu", name="conv", **same)(inner)
    encoder = keras.Model(inner, conv, name="encoder")
    inner = keras.Input((None, None, 6))
    x = keras.layers.Conv2D(8, 3, name="expand", **same)(inner)
    block = keras.Model(inner, keras.layers.ReLU(name="expand_relu")(x), name="block_3")
    picture = keras.Input((32, 32, 3), name="picture")
    x = keras.layers.MaxPooling2D(name="pool")(encoder(picture))
    inner = keras.Input((None, None, 8))
    expand = keras.layers.Conv2D(128, 1, name="expand")(inner)
    deep = keras.Model(inner, keras.layers.ReLU(name="expand_relu")(expand), name="block_13")
    x = keras.layers.GlobalAveragePooling2D(name="mean")(deep(block(x)))
    return keras.Model(picture, keras.layers.Dense(1000, "softmax", name="classes")(x))


@pytest.fixture(scope="module")
def vit() -> keras.Model:
    """A small vision transformer for the same pictures: 4 × 4 patches after a class token."""
    keras.utils.set_random_seed(0)
    picture = keras.Input((32, 32, 3), name="picture")
    x = keras.layers.Conv2D(8, 8, strides=8, name="patches")(picture)
    x = ClassToken(name="class_token")(keras.layers.Reshape((16, 8), name="tokens")(x))
    x = TransformerBlock(8, name="block_2")(TransformerBlock(8, name="block_1")(x))
    return keras.Model(picture, keras.layers.Dense(5, "softmax", name="classes")(x[:, 0]))


@pytest.fixture
def namespace(model: keras.Model, vit: keras.Model) -> dict[str, Any]:
    """What every example may use without making it."""
    images = np.random.default_rng(0).random((6, 32, 32, 3)).astype("float32")
    labels = np.arange(6) % 1000
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)
    known = {"model": model, "vit": vit, "images": images, "dataset": dataset}
    return known | {"kv": kv, "keras": keras, "np": np, "tf": tf, "__name__": "example"}


def blocks(text: str) -> list[tuple[str, str, int]]:
    """Every python block of a text: its mark, its code, its line."""
    return [
        (match["mark"] or "", textwrap.dedent(match["code"]), text[: match.start()].count("\n") + 1)
        for match in BLOCK.finditer(text)
    ]


WITH_CODE = [page for page in PROSE if blocks(page.read_text(encoding="utf-8"))]


def test_the_manual_has_code() -> None:
    assert len(WITH_CODE) >= 12


@pytest.mark.parametrize("page", WITH_CODE, ids=short)
def test_code_of_the_manual_runs(
    page: Path,
    namespace: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The blocks of a page run one after the other, in one namespace."""
    monkeypatch.chdir(tmp_path)
    for mark, code, line in blocks(page.read_text(encoding="utf-8")):
        assert mark in ("", "not run", "new process")
        if mark == "new process":
            subprocess.run(
                [sys.executable, "-c", code],
                check=True,
                env=fresh_environment(),
                capture_output=True,
            )
        elif not mark:
            exec(compile("\n" * line + code, short(page), "exec"), namespace)


def fresh_environment() -> dict[str, str]:
    """The environment of this process, in which the package under test is found."""
    return os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def test_few_blocks_are_not_run() -> None:
    marks = [mark for page in WITH_CODE for mark, _, _ in blocks(page.read_text(encoding="utf-8"))]
    assert marks.count("not run") <= 3


def public_objects() -> Iterator[tuple[str, Any]]:
    """Everything that `kv.` reaches: classes with their methods, functions, modules."""
    for name in kv.__all__:
        value = getattr(kv, name)
        members = vars(value) if isinstance(value, ModuleType) else {}
        names = getattr(value, "__all__", None) or [
            member
            for member, inner in members.items()
            if getattr(inner, "__module__", "") == getattr(value, "__name__", None)
        ]
        yield name, value
        for member in names if members else []:
            inner = getattr(value, member)
            if not member.startswith("_") and (inspect.isclass(inner) or inspect.isroutine(inner)):
                yield f"{name}.{member}", inner


PUBLIC = dict(public_objects())


def docstrings(value: Any) -> Iterator[str]:
    """The docstring of an object and, of a class, those of its public methods."""
    yield inspect.getdoc(value) or ""
    if inspect.isclass(value):
        for name, member in vars(value).items():
            if not name.startswith("_"):
                yield inspect.getdoc(member) or ""


WITH_EXAMPLE = [
    name for name, value in PUBLIC.items() if any(blocks(text) for text in docstrings(value))
]


def test_docstrings_have_examples() -> None:
    expected = {"Activations", "CAM", "DeconvNet", "GradCAM", "GuidedSaliency", "Saliency"}
    assert expected <= set(WITH_EXAMPLE)


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_examples_of_docstrings_run(
    name: str, namespace: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for text in docstrings(PUBLIC[name]):
        for _, code, _ in blocks(text):
            exec(compile(code, name, "exec"), namespace)


def sessions() -> list[doctest.DocTest]:
    """The `>>>` examples of all public objects."""
    finder = doctest.DocTestFinder(recurse=False)
    found = []
    for name, value in PUBLIC.items():
        home = value if isinstance(value, ModuleType) else inspect.getmodule(value)
        tests = finder.find(value, name, module=home, globs=dict(vars(home)))
        found += [test for test in tests if test.examples]
    return found


@pytest.mark.parametrize("test", sessions(), ids=lambda test: test.name)
def test_sessions_of_docstrings_run(test: doctest.DocTest, capsys: Any) -> None:
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
    assert result.failed == 0, capsys.readouterr().out


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=short)
def test_links_and_pictures_exist(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        target, _, anchor = urllib.parse.unquote(link).partition("#")
        if target.startswith(("http://", "https://")):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.is_file(), f"{short(page)} links to {link}"
        if anchor:
            assert anchor in anchors(file), f"{short(page)} links to {link}"


def anchors(page: Path) -> set[str]:
    """The anchors that the headings of a page get."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    words = (re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings)
    return {re.sub(r"[-\s]+", "-", text) for text in words}


def test_pictures_are_small_and_used() -> None:
    pictures = sorted((ROOT / "docs" / "images").iterdir())
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < 300_000, picture.name
        assert f"images/{picture.name}" in text, picture.name
    assert sum(picture.stat().st_size for picture in pictures) < 4_000_000


def test_every_public_name_is_in_the_reference() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES if page not in PROSE)
    for name in kv.__all__:
        if isinstance(getattr(kv, name), ModuleType):
            assert f"## kv.{name}." in text, name
        else:
            assert f"## kv.{name}\n" in text, name


def test_the_reference_says_what_the_docstrings_say() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["pages"]()
    folder = ROOT / "docs" / "reference"
    found = {page.name: page.read_text(encoding="utf-8") for page in folder.glob("*.md")}
    stale = [name for name in {*written, *found} if written.get(name) != found.get(name)]
    assert not stale, f"{sorted(stale)} are stale: run `python docs/make_reference.py`"


def test_pages_are_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        assert f": {name}\n" in navigation, name


def texts_of_the_library() -> str:
    """All text constants of the library, the pieces of f-strings among them."""
    nodes = (
        node
        for path in (ROOT / "kerasviz").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )
    texts = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return "\n".join(texts)


def test_troubleshooting_quotes_real_errors() -> None:
    page = (ROOT / "docs/how-to/troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r'^### "(.*)"$', page, re.MULTILINE)
    known = texts_of_the_library()
    assert len(quoted) > 20
    assert not [text for text in quoted if text not in known]


@pytest.mark.parametrize("page", [*PROSE, ROOT / "CONTRIBUTING.md"], ids=short)
def test_named_files_and_tests_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path, test in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", text):
        assert f"def {test}" in (ROOT / path).read_text(encoding="utf-8"), (path, test)
    for script in re.findall(r"python ((?:examples|docs|benchmarks)/\w+\.py)", text):
        assert (ROOT / script).is_file(), script


def test_counts_of_the_readme() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"all {len(KINDS)} kinds of model" in text
    assert f"all {len(SPELLINGS)} spellings" in text
    assert f"in {len(EXTRA_SPELLINGS)} less common ones" in text


def test_commands_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for goal in re.findall(r"`make (\w+)`", text):
        assert f"\n{goal}:" in makefile, goal
    for verb in re.findall(r"^kerasviz (\w+) .*  # ", text, re.MULTILINE):
        assert f"## kerasviz {verb}\n" in (ROOT / "docs/reference/command-line.md").read_text()
