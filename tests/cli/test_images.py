"""Image files of any kind become the pixels that a model takes."""

from __future__ import annotations

import os
import struct
import zlib

import keras
import numpy as np
import pytest
from PIL import Image

from kerasviz.cli.images import ImageLayout, image_layout, read_images
from kerasviz.errors import InputError

RGB = ImageLayout(8, 8, 3)
GREY = ImageLayout(8, 8, 1)


def read(path, layout=RGB):
    images, failures = read_images([str(path)], layout)
    assert failures == []
    return images[0].pixels


def failure(path, layout=RGB):
    images, failures = read_images([str(path)], layout)
    assert images == []
    ((name, reason),) = failures
    assert name == str(path)
    return reason


@pytest.fixture
def ramp():
    """Grey values that rise from left to right, 8 × 8."""
    return np.tile(np.arange(8, dtype=np.uint8) * 32, (8, 1))


@pytest.mark.parametrize("ending", ["png", "bmp", "tiff", "webp", "gif", "ppm", "tga"])
def test_formats(ending, ramp, tmp_path):
    Image.fromarray(ramp).convert("RGB").save(tmp_path / f"a.{ending}", lossless=True)
    np.testing.assert_allclose(read(tmp_path / f"a.{ending}")[..., 1], ramp, atol=1)


def test_content_decides_not_the_name(ramp, tmp_path):
    Image.fromarray(ramp).save(tmp_path / "a.txt", format="PNG")
    np.testing.assert_array_equal(read(tmp_path / "a.txt")[..., 0], ramp)


def test_sixteen_bits(ramp, tmp_path):
    Image.fromarray(ramp.astype(np.uint16) * 257).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png")[..., 2], ramp)


def test_sixteen_bits_in_wide_integers(ramp, tmp_path):
    Image.fromarray(ramp.astype(np.int32) * 257).save(tmp_path / "a.tiff")
    np.testing.assert_array_equal(read(tmp_path / "a.tiff", GREY)[..., 0], ramp)


@pytest.mark.parametrize("scale", [1 / 255, 1.0])
def test_floats(scale, ramp, tmp_path):
    Image.fromarray(ramp.astype(np.float32) * scale).save(tmp_path / "a.tiff")
    np.testing.assert_array_equal(read(tmp_path / "a.tiff")[..., 0], ramp)


@pytest.mark.parametrize("value", [np.nan, -1.0, 1e6])
def test_floats_that_are_no_picture(value, tmp_path):
    Image.fromarray(np.full((8, 8), value, np.float32)).save(tmp_path / "a.tiff")
    assert "0..1 or 0..255 expected" in failure(tmp_path / "a.tiff")


def test_palette(tmp_path):
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, 10, 200, 30])
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png")[0, 0], [10, 200, 30])


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_become_white(mode, tmp_path):
    picture = Image.new("RGBA", (8, 8), (0, 0, 0, 0)).convert(mode)
    picture.save(tmp_path / "a.png", **({"transparency": 0} if mode == "P" else {}))
    assert read(tmp_path / "a.png").min() == 255


def test_alpha_is_kept_for_models_that_take_it(tmp_path):
    Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save(tmp_path / "a.png")
    pixels = read(tmp_path / "a.png", ImageLayout(8, 8, 4))
    np.testing.assert_array_equal(pixels[3, 3], [1, 2, 3, 4])


def test_inks(tmp_path):
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.jpg")
    np.testing.assert_allclose(read(tmp_path / "a.jpg")[0, 0], [0, 255, 255], atol=3)


def test_grey_models_get_grey(ramp, tmp_path):
    Image.fromarray(ramp).convert("RGB").save(tmp_path / "a.png")
    pixels = read(tmp_path / "a.png", GREY)
    assert pixels.shape == (8, 8, 1)
    np.testing.assert_array_equal(pixels[..., 0], ramp)


def test_orientation_of_cameras(ramp, tmp_path):
    upside_down = Image.Exif()
    upside_down[0x0112] = 3
    Image.fromarray(ramp).save(tmp_path / "a.png", exif=upside_down)
    np.testing.assert_array_equal(read(tmp_path / "a.png")[..., 0], ramp[:, ::-1])


def test_shorter_side_is_resized_and_the_centre_cut_out(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert read(tmp_path / "wide.png")[:, 1:-1].min() == 255


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_odd_sizes(size, tmp_path):
    Image.new("RGB", size, (9, 8, 7)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png"), np.tile([9, 8, 7], (8, 8, 1)))


def test_unreadable_ones_are_named_and_the_rest_is_read(ramp, tmp_path):
    Image.fromarray(ramp).save(tmp_path / "good.png")
    (tmp_path / "text.jpg").write_text("not a picture")
    noise = np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "half.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "half.png").read_bytes()[:9000])
    names = ["text.jpg", "good.png", "half.png", "missing.png", ""]
    images, failures = read_images([str(tmp_path / name) for name in names], RGB)
    assert [(image.path, image.position) for image in images] == [(str(tmp_path / "good.png"), 1)]
    reasons = [reason for _, reason in failures]
    assert reasons[0] == "is not an image that can be read"
    assert reasons[1].startswith("is damaged") or "cannot be read" in reasons[1]
    assert reasons[2] == "does not exist"
    assert reasons[3].startswith("is a folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_would_never_end(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert failure(tmp_path / "pipe.png") == "is a device or a pipe"


def test_empty_file(tmp_path):
    (tmp_path / "a.png").touch()
    assert failure(tmp_path / "a.png") == "is not an image that can be read"


def test_decompression_bomb(tmp_path):
    """A PNG of a few bytes that declares 40,000 × 40,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    assert failure(tmp_path / "bomb.png") == "declares more pixels than a photo can have"


def test_postscript_would_run_a_program(tmp_path):
    (tmp_path / "a.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n")
    assert failure(tmp_path / "a.eps") == "is not an image that can be read"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_forbidden(ramp, tmp_path):
    Image.fromarray(ramp).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    assert failure(tmp_path / "a.png") == "cannot be read: Permission denied"


def taking(*shape):
    inputs = keras.Input(shape)
    return keras.Model(inputs, keras.layers.Activation("relu")(inputs))


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((24, 32, 3), ImageLayout(24, 32, 3)),
        ((24, 32, 1), ImageLayout(24, 32, 1)),
        ((3, 24, 32), ImageLayout(24, 32, 3, channels_first=True)),
        ((3, 32, 3), ImageLayout(3, 32, 3)),
        ((None, None, 3), ImageLayout(224, 224, 3, any_size=True)),
        ((None, None, 1), ImageLayout(224, 224, 1, any_size=True)),
        ((None, None, None), ImageLayout(224, 224, 3, any_size=True)),
    ],
)
def test_layout(shape, layout):
    assert image_layout(taking(*shape)) == layout


def test_channels_first_arrangement():
    images = np.zeros((2, 24, 32, 3), np.float32)
    images[..., 1] = 5
    arranged = image_layout(taking(3, 24, 32)).arrange(images)
    assert arranged.shape == (2, 3, 24, 32)
    assert arranged[:, 1].min() == 5


def two_inputs():
    inputs = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    return keras.Model(inputs, keras.layers.Add()(inputs))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: taking(7), "inputs of shape (None, 7)"),
        (lambda: taking(8, 8, 7), "input shape (None, 8, 8, 7)"),
        (two_inputs, "inputs of shape (None, 8, 8, 3), (None, 8, 8, 3)"),
        (lambda: keras.Sequential([keras.layers.Dense(1)]), "built"),
    ],
)
def test_models_that_take_no_image(model, words):
    with pytest.raises(InputError) as caught:
        image_layout(model())
    assert words in str(caught.value)
