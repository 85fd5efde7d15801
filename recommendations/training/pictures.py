"""Pictures of products as vectors: of those that lie in this installation's media folder. Others are not fetched from their hosts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from django.conf import settings

from algorithms import image_vectors
from algorithms.types import Float32
from recommendations.training.item_features import CatalogueItem

LARGEST_BYTES = 20_000_000
KEPT = 20_000
"""Pictures whose vectors a worker remembers: a file that has not changed is not opened again."""


def picture_vectors(items: Sequence[CatalogueItem]) -> Float32 | None:
    """(n, 256); zeros for a product without a readable picture. None where the optional packages are missing."""
    if not image_vectors.is_installed():
        return None
    vectors = np.zeros((len(items), image_vectors.DIMENSIONS), np.float32)
    for row, item in enumerate(items):
        if (path := _file_of(item.image_url)) is not None:
            vectors[row] = _vector_of(path, path.stat().st_mtime_ns)
    return vectors


def _file_of(image_url: str) -> Path | None:
    """The picture's file; None where it lies elsewhere, is too large, or is none."""
    if not settings.MEDIA_URL or not image_url.startswith(settings.MEDIA_URL):
        return None
    root = Path(settings.MEDIA_ROOT).resolve()
    try:
        path = (root / unquote(image_url.removeprefix(settings.MEDIA_URL))).resolve()
        if root in path.parents and path.is_file() and path.stat().st_size <= LARGEST_BYTES:
            return path
    except (OSError, ValueError):
        pass
    return None


@lru_cache(maxsize=KEPT)
def _vector_of(path: Path, changed: int) -> Float32:
    return image_vectors.describe_picture(path.read_bytes())
