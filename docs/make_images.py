"""Run the examples and put their pictures, made small, into docs/images.

    python docs/make_images.py [EXAMPLE...]

Each picture that a page shows becomes a JPEG file of at most 1000 pixels in width.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "images"
WIDTH = 1000
QUALITY = {
    "expanded_weights": 55,
    "initializer_weights": 38,
    "weight_banding_factors": 40,
    "weight_circuit": 52,
    "weight_connections": 70,
}


def main(names: list[str]) -> None:
    """Run the named examples, or all."""
    FOLDER.mkdir(exist_ok=True)
    pages = "".join(page.read_text("utf-8") for page in FOLDER.parent.rglob("*.md"))
    for script in sorted((ROOT / "examples").glob("*.py")):
        if names and script.stem not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, script, "--output", folder], check=True, cwd=ROOT)
            for picture in sorted(Path(folder).glob("*.png")):
                if f"images/{picture.stem}.jpg" in pages:
                    reduce(picture, FOLDER / f"{picture.stem}.jpg")


def reduce(source: Path, goal: Path) -> None:
    """A smaller copy."""
    with Image.open(source) as image:
        picture = image.convert("RGB")
    if picture.width > WIDTH:
        height = round(picture.height * WIDTH / picture.width)
        picture = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    quality = QUALITY.get(goal.stem, 76)
    picture.save(goal, quality=quality, optimize=True, progressive=True)
    print(f"{goal}: {goal.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
