"""Secrets of the test bed: made once at random, kept in files that only their owner may read."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

PASSWORD_BYTES = 24


def password(path: Path) -> str:
    """The text of the secret file, made at random when it does not exist."""
    return content(path, lambda: secrets.token_urlsafe(PASSWORD_BYTES).encode()).decode()


def content(path: Path, make: Callable[[], bytes]) -> bytes:
    """What the file holds; `make` is asked for it once."""
    if not path.exists():
        write(path, make())
    return path.read_bytes()


def write(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read; a reader sees the old content or the new, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    pending = path.with_name(f".{path.name}")
    with os.fdopen(os.open(pending, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    pending.replace(path)
