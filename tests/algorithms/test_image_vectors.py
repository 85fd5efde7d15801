"""Pictures alike in colour and outline are near each other; what is no picture is nothing."""

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from algorithms import image_vectors
from algorithms.image_vectors import DIMENSIONS, describe_picture
from algorithms.text_embeddings import MissingExtra


def drawing(colour: str, shape: str, mode: str = "RGB", name: str = "PNG") -> bytes:
    picture = Image.new(mode, (200, 160), (255, 255, 255, 0)[: len(mode)])
    pen = ImageDraw.Draw(picture)
    if shape == "tent":
        pen.polygon([(100, 20), (180, 140), (20, 140)], fill=colour)
    else:
        pen.rectangle([30, 40, 170, 130], fill=colour)
    file = io.BytesIO()
    picture.save(file, name)
    return file.getvalue()


def test_colour_and_outline_both_count() -> None:
    red_tent, red_box, blue_tent, blue_box = (
        describe_picture(drawing(colour, shape)) for colour in ("red", "blue") for shape in ("tent", "box")
    )
    assert np.linalg.norm(red_tent) == pytest.approx(1.0, abs=1e-5)
    assert red_tent @ red_box > red_tent @ blue_box
    assert red_tent @ blue_tent > red_tent @ blue_box


def test_a_format_and_a_transparent_background_change_little() -> None:
    plain = describe_picture(drawing("red", "tent"))
    others = (drawing("red", "box"), drawing("blue", "tent"))
    nearest_other = max(float(plain @ describe_picture(other)) for other in others)
    for same in (drawing("red", "tent", name="WEBP"), drawing("red", "tent", mode="RGBA")):
        assert plain @ describe_picture(same) > nearest_other + 0.1


@pytest.mark.parametrize(
    "broken", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", drawing("red", "box")[:60]]
)
def test_what_cannot_be_read_is_like_nothing(broken: bytes) -> None:
    vector = describe_picture(broken)
    assert vector.shape == (DIMENSIONS,)
    assert not vector.any()


def test_a_huge_picture_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_vectors, "LARGEST_PIXELS", 200 * 160 - 1)
    assert not describe_picture(drawing("red", "tent")).any()


def test_without_the_packages_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_vectors, "PACKAGES", ("a_package_that_nobody_has",))
    with pytest.raises(MissingExtra, match=r"requirements-embeddings\.txt"):
        describe_picture(b"")


def test_pictures_of_one_category_are_nearer_than_chance(shared_data: Path) -> None:
    """A hundred product pictures in eight categories: the nearest picture is of the same one more often than by lot."""
    table = pq.read_table(shared_data / "eshop_catalog" / "products.parquet").to_pydict()
    folder = shared_data / "eshop_catalog" / "images"
    vectors = np.stack(
        [describe_picture((folder / Path(name).name).read_bytes()) for name in table["image_file"]]
    )
    assert vectors.any(axis=1).all()
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1.0)
    category = np.array(table["category"])
    same = (category[likeness.argmax(axis=1)] == category).mean()
    by_lot = np.mean([(category == own).sum() - 1 for own in category]) / (len(category) - 1)
    assert same > 1.5 * by_lot
