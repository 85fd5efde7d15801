"""The installation's settings with one address more: a REST view that does nothing, to compare with."""

from config.settings import *  # noqa: F403 (settings are taken over whole)

ROOT_URLCONF = "benchmarks.serving.urls"
