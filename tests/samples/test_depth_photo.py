from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kerasviz import samples
from kerasviz.errors import ImageFileError
from kerasviz.samples import depth_photo


def test_depth_follows_from_disparity_by_the_calibration() -> None:
    from skimage.data import stereo_motorcycle

    left, _, disparity = stereo_motorcycle()
    photo = samples.rgbd_photo()
    np.testing.assert_array_equal(photo.rgb, left)
    known = np.isfinite(disparity)
    np.testing.assert_array_equal(photo.depth > 0, known)
    assert abs((~known).mean() - 0.0735) < 0.0005
    # A point at depth z has pictures z / focal length apart per millimetre of baseline.
    shift = 193.001 * 994.978 / photo.depth[known]
    np.testing.assert_allclose(shift - 31.086, disparity[known], rtol=1e-4)
    assert 2100 < photo.depth[known].min() < photo.depth.max() < 5050


def test_the_photo_is_what_a_network_takes_and_cannot_be_changed() -> None:
    photo = samples.rgbd_photo()
    assert photo.inputs.shape == (1, 500, 741, 4)
    assert photo.inputs.dtype == np.float32
    np.testing.assert_array_equal(photo.inputs[0, ..., 3], photo.depth)
    assert photo.licence.startswith("No licence stated")
    with pytest.raises(ValueError, match="read-only"):
        photo.depth[0] = 0


def test_a_missing_or_broken_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(depth_photo, "package_folder", lambda *_: tmp_path)
    (tmp_path / "data").mkdir()
    with pytest.raises(ImageFileError, match=r"motorcycle_disp\.npz"):
        samples.rgbd_photo()
    (tmp_path / "data/motorcycle_disp.npz").write_bytes(b"PK not")
    with pytest.raises(ImageFileError, match=r"motorcycle_disp\.npz"):
        samples.rgbd_photo()
