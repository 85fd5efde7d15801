from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from accounts import valkey
from tests.tracking.conftest import store

__all__ = ["no_valkey", "store"]


@pytest.fixture
def no_valkey(settings: Any) -> Iterator[None]:
    """Nothing answers where Valkey should be."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    valkey.breaker.reset()
    yield
    valkey.breaker.reset()
