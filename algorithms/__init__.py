"""Strategies, blending, reranking, evaluation and shopper statistics: arrays in, arrays out, no Django."""
