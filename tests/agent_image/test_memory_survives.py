"""The chatbot's memory: kept over restarts and kills, and only as long as its retention setting says."""

import signal
import sqlite3
from pathlib import Path

import pytest

from tests.agent_image.running import chatbot


def _age_messages(data: Path, *, days: int) -> None:
    database = sqlite3.connect(data / "memory.sqlite3")
    with database:
        database.execute("UPDATE message SET at = at - ?", (days * 86_400,))
    database.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["when asked to stop", "when killed"])
def test_memory_survives_a_restart(tmp_path: Path, how: signal.Signals) -> None:
    with chatbot(tmp_path, memory_retention="Days") as before:
        assert before.chat("remember the harbour is called Vigo")["remembered"] == 1
        before.stop(how)
    with chatbot(tmp_path, memory_retention="Days") as after:
        assert after.chat("what did I tell you?") == {
            "answer": "You told me: the harbour is called Vigo.",
            "remembered": 2,
        }


def test_conversations_do_not_see_each_other(tmp_path: Path) -> None:
    with chatbot(tmp_path, memory_retention="Days") as bot:
        bot.chat("remember red", conversation="one")
        bot.chat("remember blue", conversation="two")
        assert bot.chat("recall", conversation="one")["answer"] == "You told me: red."
        assert bot.chat("recall", conversation="two")["answer"] == "You told me: blue."
        assert bot.chat("recall")["answer"] == "You have not told me anything that I still know."


def test_nothing_is_stored_unless_told_to(tmp_path: Path) -> None:
    with chatbot(tmp_path) as bot:
        assert bot.chat("remember me") == {
            "answer": "I keep no messages, so I will not remember that.",
            "remembered": 0,
        }
        assert bot.chat("recall")["answer"] == "You have not told me anything that I still know."
    assert list(tmp_path.iterdir()) == []


def test_what_was_stored_is_deleted_when_retention_is_switched_off(tmp_path: Path) -> None:
    with chatbot(tmp_path, memory_retention="Days") as bot:
        bot.chat("remember me")
        bot.stop(signal.SIGKILL)
    assert list(tmp_path.iterdir()) != []
    with chatbot(tmp_path, memory_retention="None"):
        assert list(tmp_path.iterdir()) == []


def test_old_messages_are_deleted_and_young_ones_kept(tmp_path: Path) -> None:
    with chatbot(tmp_path, memory_retention="Days", memory_days="7") as bot:
        bot.chat("remember an old thing called Methuselah")
        bot.stop()
    _age_messages(tmp_path, days=6)
    with chatbot(tmp_path, memory_retention="Days", memory_days="7") as bot:
        assert bot.chat("recall")["answer"] == "You told me: an old thing called Methuselah."
        bot.stop()
    _age_messages(tmp_path, days=2)
    with chatbot(tmp_path, memory_retention="Days", memory_days="7") as bot:
        assert bot.chat("recall")["answer"] == "You have not told me anything that I still know."
        bot.stop()
    assert b"Methuselah" not in (tmp_path / "memory.sqlite3").read_bytes()


def test_old_messages_are_forgotten_when_the_chatbot_just_keeps_running(tmp_path: Path) -> None:
    with chatbot(tmp_path, memory_retention="Days") as bot:
        bot.chat("remember yesterday")
        _age_messages(tmp_path, days=31)
        assert bot.chat("recall") == {"answer": "You have not told me anything that I still know.", "remembered": 1}


def test_the_file_is_whole_and_alone_after_a_clean_stop(tmp_path: Path) -> None:
    with chatbot(tmp_path, memory_retention="Days") as bot:
        bot.chat("remember me")
        assert bot.stop() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["memory.sqlite3"]
