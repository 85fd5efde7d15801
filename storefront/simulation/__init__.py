"""Simulated shoppers of the demo shop: who they are, when they come, what they look at and buy.

Nothing here touches the database or Django: products go in as plain rows, messages of the tracking contract come out.
The traits they are tuned to are real shops' (`traits.TARGETS`).
"""
