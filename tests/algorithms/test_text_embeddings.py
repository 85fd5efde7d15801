"""Words that mean the same bring products together, without a model hub, and without the optional packages nothing breaks."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from algorithms import text_embeddings
from algorithms.content import ContentTFIDF
from algorithms.text_embeddings import MissingExtra, TextEmbeddings, embed
from algorithms.types import ItemDescriptions, Query
from tests.algorithms.shops import NOW, log

TEXTS = ["comfortable sofa", "cosy couch", "steel kettle", "kettle of metal", ""]


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where the optional packages were never installed."""
    monkeypatch.setattr(text_embeddings, "PACKAGES", ("a_package_that_nobody_has",))
    text_embeddings._model.cache_clear()


def fitted() -> TextEmbeddings:
    data = log([], 0, 5, item_text_vectors=embed(TEXTS))
    return TextEmbeddings(minimum_similarity=0.0).fit(data, np.random.default_rng(0))


def test_a_couch_is_like_a_sofa_though_they_share_no_word() -> None:
    scores = fitted().score(Query.of([0], now=NOW))
    assert scores[1] > max(scores[2], scores[3])
    by_words = ContentTFIDF().fit_items(5, TEXTS, None).score(Query.of([0], now=NOW))
    assert by_words[1] == 0
    assert scores[4] == 0, "what has no text is like nothing"


def test_case_and_padding_change_nothing() -> None:
    alone = embed(["Cosy COUCH"])
    beside_a_long_text = embed(["cosy couch", "a " * 200])[:1]
    np.testing.assert_allclose(alone, beside_a_long_text, rtol=1e-5)
    assert embed([]).shape == (0, 256)


def test_items_that_come_later_join_by_the_same_measure() -> None:
    later = ItemDescriptions(["cosy couch"], None, np.array([NOW]), embed(["cosy couch"]))
    strategy = fitted()
    grown = strategy.with_items(strategy.described(later))
    assert grown.n_items == 6
    scores = grown.score(Query.of([0], now=NOW))
    assert scores[5] == pytest.approx(scores[1], rel=1e-5)
    np.testing.assert_array_equal(scores[:5], strategy.score(Query.of([0], now=NOW)))


def test_without_the_packages_the_message_says_what_to_do(without_packages: None) -> None:
    assert not text_embeddings.is_installed()
    with pytest.raises(MissingExtra, match=r"pip install -r requirements-embeddings\.txt"):
        embed(["sofa"])


def test_without_vectors_it_has_no_opinion_and_takes_items_in() -> None:
    strategy = TextEmbeddings().fit(log([], 0, 3), np.random.default_rng(0))
    assert not strategy.score(Query.of([0], now=NOW)).any()
    grown = strategy.with_items(
        strategy.described(ItemDescriptions(["sofa"], csr_matrix((1, 1)), np.array([NOW])))
    )
    assert grown.n_items == 4
    assert not grown.score(Query.of([3], now=NOW)).any()
