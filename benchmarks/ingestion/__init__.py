"""How many events an installation takes, and how quickly it acknowledges them: `manage.py bench_ingest`."""
