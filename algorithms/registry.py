"""Every strategy by its name."""

from __future__ import annotations

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
from algorithms.types import Strategy
from algorithms.user_knn import UserKNN

STRATEGIES: dict[str, type[Strategy]] = {
    strategy.name: strategy
    for strategy in (
        Popularity,
        Trending,
        PopularInCategory,
        PopularInSegment,
        ItemKNN,
        SequentialCooccurrence,
        BasketCooccurrence,
        SessionKNN,
        UserKNN,
        ItemVectors,
        ALS,
        EASE,
        LightFMHybrid,
        ContentTFIDF,
        NewItems,
        TextEmbeddings,
        ImageVectors,
        RecentlyViewed,
        Reminder,
        Repurchase,
    )
}
