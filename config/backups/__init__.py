"""Backups: a folder with a dump of the database, the trained models and the media, and a manifest that
vouches for each file.

The secrets are never in that folder: with them, whoever finds a backup could read the vault, and a person
whose key was destroyed would be readable again. They go to a file of their own, to be kept apart.
"""
