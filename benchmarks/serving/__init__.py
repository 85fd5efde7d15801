"""How many shelves an installation gives, how quickly, and how soon an event changes one: `manage.py bench_serving`."""
