"""What can go wrong with a backup."""


class BackupError(Exception):
    """What stands in the way of a backup or of its restoration, and what to do about it."""
