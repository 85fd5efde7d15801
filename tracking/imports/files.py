"""A file to import: what is in it, known by its bytes and never by its name alone."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from tracking.imports.records import UnreadableFile

STDIN: Final = "-"
FORMATS: Final = ("csv", "jsonl", "parquet")
_GZIP: Final = b"\x1f\x8b"
_PARQUET: Final = b"PAR1"
_BLOCK: Final = 1 << 20
_BYTE_ORDER_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


@dataclass(frozen=True)
class ImportFile:
    """`digest` is the SHA-256 of the bytes on disk; `encoding` is "" for Parquet."""

    path: Path
    name: str
    digest: str
    size_bytes: int
    format: str
    is_gzip: bool
    encoding: str

    @contextmanager
    def open(self) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        """The unpacked bytes, and the file below whose position tells how far reading came."""
        with self.path.open("rb") as below:
            if not self.is_gzip:
                yield below, below
                return
            with gzip.open(below, "rb") as unpacked:
                yield cast(BinaryIO, unpacked), below

    @contextmanager
    def open_text(self) -> Iterator[tuple[IO[str], BinaryIO]]:
        """The same as text; line ends as they are. Bytes that are no text become lone surrogates, for the reader to find."""
        with self.open() as (unpacked, below):
            text = io.TextIOWrapper(unpacked, self.encoding, errors="surrogateescape", newline="")
            try:
                yield text, below
            finally:
                text.detach()


@contextmanager
def import_file(path: str, *, format: str = "", encoding: str = "") -> Iterator[ImportFile]:
    """The file at `path`; `-` is what comes on standard input, kept in a temporary file for as long as it is read.

    Raises UnreadableFile where there is none, it is empty, or its format cannot be told.
    """
    if path == STDIN:
        with tempfile.NamedTemporaryFile(prefix="etalage-import-") as spool:
            shutil.copyfileobj(sys.stdin.buffer, spool, _BLOCK)
            spool.flush()
            yield _examine(Path(spool.name), "standard input", format, encoding)
        return
    where = Path(path)
    if where.is_dir():
        raise UnreadableFile(f"{path} is a folder: name the files in it, such as {path.rstrip('/')}/*.csv.")
    if not where.is_file():
        raise UnreadableFile(f"There is no file {path}.")
    yield _examine(where, where.name, format, encoding)


def _examine(path: Path, name: str, format: str, encoding: str) -> ImportFile:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with path.open("rb") as file:
            is_gzip = file.read(2) == _GZIP
        with gzip.open(path, "rb") if is_gzip else path.open("rb") as file:
            start = file.read(4096)
    except (OSError, EOFError) as error:
        raise UnreadableFile(f"{name} cannot be read: {error}.") from error
    if not start:
        raise UnreadableFile(f"{name} is empty.")
    found = format or _format_of(start, name)
    if found == "parquet" and is_gzip:
        raise UnreadableFile(
            f"{name} is Parquet within gzip: unpack it first (gunzip), Parquet is packed inside."
        )
    text_encoding = "" if found == "parquet" else encoding or _encoding_of(start)
    return ImportFile(path, name, digest, path.stat().st_size, found, is_gzip, _known_encoding(text_encoding))


def _format_of(start: bytes, name: str) -> str:
    if start.startswith(_PARQUET):
        return "parquet"
    text = start.decode(_encoding_of(start), "replace").lstrip("\ufeff \t\r\n")
    if text.startswith("["):
        raise UnreadableFile(
            f"{name} is one JSON array: write one object a line (jq -c '.[]' {name} > events.jsonl)."
        )
    return "jsonl" if text.startswith("{") else "csv"


def _encoding_of(start: bytes) -> str:
    return next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), "utf-8")


def _known_encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name if name else ""
    except LookupError:
        raise UnreadableFile(
            f"There is no encoding {name!r}. Usual ones: utf-8, cp1252 (Windows), latin-1, utf-16."
        ) from None
