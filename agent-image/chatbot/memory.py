"""Memory: the messages of each conversation in one SQLite file, for as long as the retention setting says."""

import sqlite3
import threading
import time
from pathlib import Path
from typing import Protocol

from chatbot.settings import Retention, Settings

FILE = "memory.sqlite3"
DAY_SECONDS = 86_400
HISTORY_MESSAGES_MAX = 200

SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    id            INTEGER PRIMARY KEY,
    conversation  TEXT NOT NULL,
    at            INTEGER NOT NULL,
    text          TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS message_conversation ON message (conversation, id);
CREATE INDEX IF NOT EXISTS message_at ON message (at);
"""


class Memory(Protocol):
    """What a chatbot remembers; safe to use from many threads."""

    def keep(self, conversation: str, text: str) -> None:
        """Store one message; it is on the disk when this returns."""

    def history(self, conversation: str) -> list[str]:
        """The latest messages, oldest first."""

    def count(self, conversation: str) -> int:
        """How many messages are kept."""

    def close(self) -> None:
        """Leave the file complete and closed."""


def open_memory(settings: Settings) -> Memory:
    """Open what the settings ask for; what they no longer allow to keep is deleted before this returns."""
    if settings.memory_retention is Retention.DAYS:
        return StoredMemory(settings.data_dir / FILE, keep_seconds=settings.memory_days * DAY_SECONDS)
    for path in settings.data_dir.glob(FILE + "*"):
        path.unlink()
    return NoMemory()


class NoMemory:
    """Keeps nothing."""

    def keep(self, conversation: str, text: str) -> None:
        """Forget the message at once."""

    def history(self, conversation: str) -> list[str]:  # noqa: ARG002 - every conversation is empty
        """Nothing was kept."""
        return []

    def count(self, conversation: str) -> int:  # noqa: ARG002 - every conversation is empty
        """Nothing was kept."""
        return 0

    def close(self) -> None:
        """Nothing is open."""


class StoredMemory:
    """Keeps messages in SQLite until they are older than the limit."""

    def __init__(self, path: Path, *, keep_seconds: int) -> None:
        self._keep_seconds = keep_seconds
        # One connection behind one lock: SQLite has one writer anyway, and a chat is no hot path.
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # A message that was answered must survive a power cut; a deleted one must not linger in free pages.
        self._database.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;" + SCHEMA
        )
        self._forget_old()

    def keep(self, conversation: str, text: str) -> None:
        """Store one message; it is on the disk when this returns."""
        with self._lock:
            self._forget_old()
            self._database.execute(
                "INSERT INTO message (conversation, at, text) VALUES (?, ?, ?)", (conversation, int(time.time()), text)
            )

    def history(self, conversation: str) -> list[str]:
        """The latest messages, oldest first."""
        with self._lock:
            rows = self._database.execute(
                "SELECT text FROM message WHERE conversation = ? AND at > ? ORDER BY id DESC LIMIT ?",
                (conversation, self._oldest(), HISTORY_MESSAGES_MAX),
            ).fetchall()
        return [text for (text,) in reversed(rows)]

    def count(self, conversation: str) -> int:
        """How many messages are kept."""
        with self._lock:
            row = self._database.execute(
                "SELECT count(*) FROM message WHERE conversation = ? AND at > ?", (conversation, self._oldest())
            ).fetchone()
        return int(row[0])

    def close(self) -> None:
        """Leave the file complete and closed; the last connection also folds the write-ahead log into it."""
        with self._lock:
            self._database.close()

    def _forget_old(self) -> None:
        self._database.execute("DELETE FROM message WHERE at <= ?", (self._oldest(),))

    def _oldest(self) -> int:
        return int(time.time()) - self._keep_seconds
