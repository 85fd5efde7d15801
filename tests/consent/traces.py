"""Looks for traces of a person everywhere: every column of every table, and every key of Valkey with what stands in it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import redis
from django.db import connection


def in_tables(needles: Iterable[str]) -> dict[str, list[str]]:
    """{needle: ["table: row", …]}: rows whose text, bytes in hexadecimal included, contains the needle in any case."""
    found: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        tables = [name for (name,) in cursor.fetchall()]
        assert len(tables) > 40
        for needle in needles:
            for table in tables:
                cursor.execute(
                    f'SELECT t::text FROM "{table}" AS t WHERE t::text ILIKE %s OR t::text ILIKE %s',
                    [f"%{needle}%", f"%{needle.encode().hex()}%"],
                )
                for (row,) in cursor.fetchall():
                    found.setdefault(needle, []).append(f"{table}: {row[:300]}")
    return found


def in_valkey(client: redis.Redis, needles: Iterable[str]) -> dict[str, list[str]]:
    """The same for keys of Valkey, by name and by content."""
    found: dict[str, list[str]] = {}
    for key in client.scan_iter(count=1000):
        text = b" ".join([key, *_content(client, key)]).lower()
        for needle in needles:
            if needle.lower().encode() in text:
                found.setdefault(needle, []).append(key.decode(errors="replace"))
    return found


def _content(client: redis.Redis, key: bytes) -> Iterator[bytes]:
    match client.type(key):
        case b"string":
            yield client.get(key) or b""
        case b"hash":
            for name, value in client.hgetall(key).items():
                yield name
                yield value
        case b"zset":
            yield from client.zrange(key, 0, -1)
        case b"set":
            yield from client.smembers(key)
        case b"list":
            yield from client.lrange(key, 0, -1)
        case other:
            raise AssertionError(f"a kind of key that is not searched: {other!r} {key!r}")


def in_files(folders: Iterable[Path], needles: Iterable[bytes]) -> dict[bytes, list[str]]:
    """The same for every file below these folders, by name and by its bytes, packed ones unpacked."""
    found: dict[bytes, list[str]] = {}
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        content = path.name.encode() + path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                content += b"".join(map(packed.read, packed.namelist()))
        for needle in needles:
            if needle in content:
                found.setdefault(needle, []).append(str(path))
    return found
