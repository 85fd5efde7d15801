"""Reading a shop's product file.

`formats` turns CSV, JSON lines or a JSON array into numbered rows, `rows` a row into a product, and `run` does it all or
nothing.
"""
