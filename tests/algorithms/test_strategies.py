"""Every strategy keeps the contract."""

import algorithms
from algorithms.als import ALS
from algorithms.basket_cooccurrence import BasketCooccurrence
from algorithms.content import ContentTFIDF
from algorithms.ease import EASE
from algorithms.history import RecentlyViewed, Reminder, Repurchase
from algorithms.image_vectors import ImageVectors
from algorithms.item_knn import ItemKNN
from algorithms.lightfm import LightFMHybrid
from algorithms.new_items import NewItems
from algorithms.popularity import PopularInCategory, Popularity, Trending
from algorithms.segment_popularity import PopularInSegment
from algorithms.sequential_cooccurrence import SequentialCooccurrence
from algorithms.session_knn import SessionKNN
from algorithms.svd import ItemVectors
from algorithms.text_embeddings import TextEmbeddings
from algorithms.user_knn import UserKNN
from tests.contracts.strategy import StrategyContract


class TestPopularity(StrategyContract):
    strategy = Popularity
    forgets_exactly = True
    speaks_without_history = True


class TestTrending(StrategyContract):
    strategy = Trending
    forgets_exactly = True
    speaks_without_history = True


class TestPopularInCategory(StrategyContract):
    strategy = PopularInCategory
    forgets_exactly = True


class TestPopularInSegment(StrategyContract):
    strategy = PopularInSegment
    speaks_without_history = True


class TestItemKNN(StrategyContract):
    strategy = ItemKNN


class TestItemKNNByCosine(StrategyContract):
    strategy = ItemKNN
    parameters = {"weighting": "cosine", "threshold": 0.1}


class TestItemKNNByTFIDF(StrategyContract):
    strategy = ItemKNN
    parameters = {"weighting": "tfidf"}


class TestSequentialCooccurrence(StrategyContract):
    strategy = SequentialCooccurrence
    forgets_exactly = True


class TestSequentialCooccurrenceByPerson(StrategyContract):
    strategy = SequentialCooccurrence
    parameters = {"unit": "user"}
    forgets_exactly = True


class TestBasketCooccurrence(StrategyContract):
    strategy = BasketCooccurrence
    parameters = {"minimum_baskets": 1}
    forgets_exactly = True


class TestSessionKNN(StrategyContract):
    strategy = SessionKNN
    forgets_exactly = True


class TestSessionKNNByPerson(StrategyContract):
    strategy = SessionKNN
    neighbours_are_people = True
    parameters = {"unit": "user"}
    forgets_exactly = True


class TestUserKNN(StrategyContract):
    strategy = UserKNN
    forgets_exactly = True


class TestItemVectors(StrategyContract):
    strategy = ItemVectors
    parameters = {"factors": 16}
    # Two products seen with nothing else: their surroundings have nothing in common.
    pairs_are_learned = False


class TestItemVectorsByPerson(StrategyContract):
    strategy = ItemVectors
    parameters = {"unit": "user", "factors": 16}
    # Two products seen with nothing else: their surroundings have nothing in common.
    pairs_are_learned = False


class TestALS(StrategyContract):
    strategy = ALS
    parameters = {"factors": 16, "threads": 1}


class TestDenseEASE(StrategyContract):
    strategy = EASE
    parameters = {"regularization": 10.0}
    forgets_exactly = True


class TestLocalEASE(StrategyContract):
    strategy = EASE
    parameters = {"dense_items": 0}


class TestLightFMHybrid(StrategyContract):
    strategy = LightFMHybrid
    parameters = {"factors": 8, "epochs": 5}
    pairs_are_learned = False
    speaks_without_history = True


class TestContentTFIDF(StrategyContract):
    strategy = ContentTFIDF
    learns_nothing_from_sessions = True
    forgets_exactly = True


class TestNewItems(StrategyContract):
    """By what is carried over alone: a text says what it says, whoever is forgotten."""

    strategy = NewItems
    parameters = {"content_weight": 0.0}
    forgets_exactly = True
    speaks_without_history = True


class TestTextEmbeddings(StrategyContract):
    strategy = TextEmbeddings
    learns_nothing_from_sessions = True
    forgets_exactly = True


class TestImageVectors(StrategyContract):
    strategy = ImageVectors
    learns_nothing_from_sessions = True
    forgets_exactly = True


class TestRecentlyViewed(StrategyContract):
    strategy = RecentlyViewed
    learns_nothing_from_sessions = True
    forgets_exactly = True


class TestReminder(StrategyContract):
    strategy = Reminder
    pairs_are_learned = False
    forgets_exactly = True


class TestRepurchase(StrategyContract):
    strategy = Repurchase
    pairs_are_learned = False
    forgets_exactly = True


def test_every_registered_strategy_has_a_contract_test() -> None:
    tested = {contract.strategy for contract in StrategyContract.__subclasses__()}
    assert set(algorithms.STRATEGIES.values()) == tested
    assert all(name == strategy.name for name, strategy in algorithms.STRATEGIES.items())
