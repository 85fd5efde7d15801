"""Static files under names that carry their hash, once they are collected."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticStorage(CompressedManifestStaticFilesStorage):
    """Hashed names for templates and for `import` statements alike; plain names until `collectstatic` has
    run.
    """

    # Without it a module that imports another would load it a second time, under its plain name.
    support_js_module_import_aggregation = True

    def stored_name(self, name: str) -> str:
        try:
            return super().stored_name(name)
        except ValueError:
            # Not collected yet, or missing: a picture that is not there must not take its page down.
            return name
