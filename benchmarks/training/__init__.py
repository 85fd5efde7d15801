"""How long training takes, how much memory, and how both grow with the data: `manage.py bench_training`."""
