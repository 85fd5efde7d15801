"""`python -m benchmarks.serving.swapping STORE SECONDS`: write the live version anew and make every process take it up, over and over.
Prints how often."""

from __future__ import annotations

import shutil
import sys
import time

import django

PAUSE_SECONDS = 2.0


def main() -> None:
    store_id, seconds = int(sys.argv[1]), float(sys.argv[2])
    django.setup()
    from recommendations.model_store.folder import model_dir
    from recommendations.models import ModelVersion
    from recommendations.serving import versions
    from recommendations.serving.versions import Part

    until, swaps = time.monotonic() + seconds, 0
    version = ModelVersion.objects.for_store(store_id).get(state=ModelVersion.State.LIVE)
    first = version.folder
    while time.monotonic() + PAUSE_SECONDS / 2 < until:
        swaps += 1
        folder = f"{first}r{100 + swaps}"
        shutil.copytree(model_dir() / first, model_dir() / folder)
        version.folder = folder
        version.save(update_fields=["folder"])
        versions.bump(store_id, Part.MODEL)
        time.sleep(PAUSE_SECONDS)
    sys.stdout.write(f"{swaps}\n")


if __name__ == "__main__":
    main()
