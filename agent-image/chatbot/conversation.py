"""One turn of a conversation: ask the model, keep what may be kept; every channel goes through here."""

from dataclasses import dataclass

from chatbot import echo
from chatbot.memory import Memory
from chatbot.settings import Retention, Settings


@dataclass(frozen=True, slots=True)
class Turn:
    """What the chatbot says, and how many messages of this conversation it still knows."""

    answer: str
    remembered: int


class Chatbot:
    """Answers messages; the channels are its callers."""

    def __init__(self, settings: Settings, memory: Memory) -> None:
        self._remembers = settings.memory_retention is not Retention.NONE
        self._memory = memory

    def hear(self, conversation: str, text: str) -> Turn:
        """Answer one message; it is kept before it is answered, so that an answer never promises too much."""
        history = self._memory.history(conversation)
        self._memory.keep(conversation, text)
        answer = echo.answer(text, history=history, remembers=self._remembers)
        return Turn(answer, self._memory.count(conversation))
