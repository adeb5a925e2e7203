from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from kerasviz import samples
from kerasviz.errors import ImageFileError, InputError, MissingExtraError
from kerasviz.samples import photo


def test_all_photos_come_with_the_known_ones_first() -> None:
    found = samples.photos()
    assert [photo.name for photo in found[:3]] == ["coffee", "chelsea", "motorcycle"]
    assert [bool(photo.expected) for photo in found] == [True] * 3 + [False] * (len(found) - 3)
    assert len(found) >= 6


@pytest.mark.parametrize("photo", samples.photos(), ids=lambda photo: photo.name)
def test_each_photo_is_in_colour_and_credited(photo: samples.Photo) -> None:
    assert photo.image.dtype == np.uint8
    assert photo.image.ndim == 3
    assert photo.image.shape[-1] == 3
    assert min(photo.image.shape[:2]) >= 224
    assert np.ptp(photo.image, axis=-1).mean() > 5
    assert photo.licence
    assert photo.credit
    assert photo.source
    assert set(photo.expected) <= set(samples.imagenet_labels())


def test_photos_come_in_the_order_asked_for() -> None:
    assert [photo.name for photo in samples.photos("flower", "coffee")] == ["flower", "coffee"]


def test_a_photo_cannot_be_changed() -> None:
    (coffee,) = samples.photos("coffee")
    with pytest.raises(FrozenInstanceError):
        coffee.name = "tea"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        coffee.image[0] = 0


def test_the_photo_is_the_one_scikit_learn_loads() -> None:
    from sklearn.datasets import load_sample_image

    np.testing.assert_array_equal(samples.photos("china")[0].image, load_sample_image("china.jpg"))


def test_an_unknown_name_gets_the_closest() -> None:
    with pytest.raises(InputError, match=r"Expected one of .*Received: 'cofee'.*'coffee'\."):
        samples.photos("cofee")
    with pytest.raises(InputError, match=r"Received: 'xyz'\.$"):
        samples.photos("xyz")


def test_without_scikit_image_the_line_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingExtraError, match="scikit-image") as caught:
        samples.photos()
    assert str(caught.value).endswith('Run: pip install "kerasviz[demo]"')
    assert "\n" not in str(caught.value)
    assert samples.photos("china")[0].image.size


def test_a_missing_or_broken_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(photo, "package_folder", lambda *_: tmp_path)
    with pytest.raises(ImageFileError, match=r"coffee\.png"):
        samples.photos("coffee")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/coffee.png").write_bytes(b"\x89PNG not")
    with pytest.raises(ImageFileError, match=r"coffee\.png"):
        samples.photos("coffee")


def run_fresh(code: str) -> str:
    command = [sys.executable, "-c", f"import sys; from kerasviz import samples; {code}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_import_is_light() -> None:
    heavy = "{'keras', 'numpy', 'tensorflow', 'PIL', 'skimage', 'sklearn'}"
    assert run_fresh(f"print({heavy} & set(sys.modules))") == "set()"


def test_photos_need_no_network_code_and_no_tensorflow() -> None:
    heavy = "{'keras', 'tensorflow', 'skimage', 'sklearn', 'pooch'}"
    code = f"print(len(samples.photos()), {heavy} & set(sys.modules))"
    assert run_fresh(code) == f"{len(samples.photos())} set()"


def test_the_room_offers_what_it_lists() -> None:
    assert set(samples.__all__) <= set(dir(samples))
    assert all(getattr(samples, name) for name in samples.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        samples.nothing  # noqa: B018
