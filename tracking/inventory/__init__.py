"""What arrives in a store, and from where: how much, how fresh, how complete, and what it may be used for."""
