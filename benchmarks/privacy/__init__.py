"""How long it takes to honour people's rights, and whether other people's data makes it longer: `manage.py bench_privacy`."""
