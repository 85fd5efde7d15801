"""Pictures are read from the media folder and from nowhere else."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommendations.training.item_features import CatalogueItem
from recommendations.training.pictures import picture_vectors
from tests.algorithms.test_image_vectors import drawing

ITEM = CatalogueItem("tent", "Tent", "", "", "", 100, {}, (), 0.0)


@pytest.fixture
def media(tmp_path: Path, settings: Any) -> Path:
    settings.MEDIA_ROOT, settings.MEDIA_URL = tmp_path / "media", "/media/"
    (tmp_path / "media" / "products").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(drawing("red", "tent"))
    return tmp_path / "media"


def test_pictures_of_the_media_folder_are_described(media: Path) -> None:
    (media / "products" / "my tent.png").write_bytes(drawing("red", "tent"))
    vectors = picture_vectors([replace(ITEM, image_url="/media/products/my%20tent.png"), ITEM])
    assert vectors is not None
    assert np.linalg.norm(vectors, axis=1).tolist() == pytest.approx([1.0, 0.0], abs=1e-5)


def test_a_picture_that_was_exchanged_is_described_anew(media: Path) -> None:
    path = media / "products" / "tent.png"
    found = []
    for age, colour in enumerate(("red", "blue")):
        path.write_bytes(drawing(colour, "tent"))
        os.utime(path, (1_000_000 + age, 1_000_000 + age))
        vectors = picture_vectors([replace(ITEM, image_url="/media/products/tent.png")])
        assert vectors is not None
        found.append(vectors[0])
    assert found[0] @ found[1] < 0.9


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example.com/media/products/tent.png",
        "/media/../secret.png",
        "/media/%2e%2e/secret.png",
        "/media/products",
        "/media/products/none.png",
        "/media/\x00.png",
        "",
    ],
)
def test_nothing_else_is_read(media: Path, url: str) -> None:
    vectors = picture_vectors([replace(ITEM, image_url=url)])
    assert vectors is not None
    assert not vectors.any()
