"""Looks: products whose pictures are alike in colour and outline.

No small learned model for pictures is to be had as a package, so these are classic features, and say no more than their names:

- colour: a joint histogram of hue, saturation and value (8 · 4 · 4 bins; Swain and Ballard, "Color Indexing", IJCV 1991), square roots of
  shares, so that a dot product compares distributions (Hellinger);
- outline: a histogram of oriented gradients (Dalal and Triggs, CVPR 2005) of the picture at 64 × 64, 4 · 4 cells of 8 directions.

Each part has length 1 and half a say. A red shoe is like a red boot, not like a blue shoe of the same make: for that, there are texts.
Optional: Pillow reads pictures, scikit-image knows the gradients. Training describes; serving reads arrays.
"""

from __future__ import annotations

import importlib.util
import io
from typing import ClassVar

import numpy as np

from algorithms.needs import Need
from algorithms.text_embeddings import MissingExtra, TextEmbeddings
from algorithms.types import Array, Float32, ItemDescriptions, TrainingData

PACKAGES = ("PIL", "skimage")
SIDE, CELL, DIRECTIONS = 64, 16, 8
HUES, SATURATIONS, VALUES = 8, 4, 4
COLOURS = HUES * SATURATIONS * VALUES
DIMENSIONS = COLOURS + (SIDE // CELL) ** 2 * DIRECTIONS
LARGEST_PIXELS = 50_000_000
"""A picture that claims more is not opened."""


def is_installed() -> bool:
    return all(importlib.util.find_spec(package) is not None for package in PACKAGES)


def describe_picture(picture: bytes) -> Float32:
    """(256,) of length 1; zeros for what is no picture that Pillow reads (a drawing in SVG is none). Raises MissingExtra."""
    if not is_installed():
        raise MissingExtra(
            "Pictures need optional packages: pip install -r requirements-embeddings.txt. Without them products are compared by what "
            "is written of them."
        )
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(picture)) as opened:
            if opened.width * opened.height > LARGEST_PIXELS:
                return np.zeros(DIMENSIONS, np.float32)
            on_white = Image.new("RGBA", opened.size, "white")
            on_white.alpha_composite(opened.convert("RGBA"))
            small = on_white.convert("RGB").resize((SIDE, SIDE))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return np.zeros(DIMENSIONS, np.float32)
    parts = [_colours(np.asarray(small.convert("HSV"))), _outline(np.asarray(small.convert("L")))]
    vector = np.concatenate([part / max(float(np.linalg.norm(part)), 1e-12) for part in parts])
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def _colours(hsv: Array) -> Array:
    hsv = hsv.astype(np.int64)
    hsv[..., 0] = (
        hsv[..., 0] + 128 // HUES
    ) % 256  # red lies at both ends: in the middle of a bin, not on its edge
    hue, saturation, value = (
        hsv[..., channel] * bins // 256 for channel, bins in enumerate((HUES, SATURATIONS, VALUES))
    )
    code = (hue * SATURATIONS + saturation) * VALUES + value
    return np.sqrt(np.bincount(code.ravel(), minlength=COLOURS) / code.size)


def _outline(grey: Array) -> Array:
    from skimage.feature import hog

    return np.asarray(
        hog(grey, orientations=DIRECTIONS, pixels_per_cell=(CELL, CELL), cells_per_block=(1, 1))
    )


class ImageVectors(TextEmbeddings):
    """As word embeddings, but of pictures; a product without one is like nothing."""

    name: ClassVar[str] = "image_vectors"
    needs: ClassVar[tuple[Need, ...]] = (Need("items_with_picture_vectors", 2, 20),)

    @staticmethod
    def of_training(data: TrainingData) -> Float32 | None:
        return data.item_picture_vectors

    @staticmethod
    def of_items(items: ItemDescriptions) -> Float32 | None:
        return items.picture_vectors
