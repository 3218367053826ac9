"""The offline model `echo`: repeats what it hears, and can say what it was told to remember."""

from collections.abc import Sequence

REMEMBER = "remember "
RECALL = ("recall", "what did i tell you")


def answer(text: str, *, history: Sequence[str], remembers: bool) -> str:
    """Answer one message; the same message and history always give the same answer."""
    if _plain(text) in RECALL:
        told = [said for said in map(_told, history) if said]
        return f"You told me: {'; '.join(told)}." if told else "You have not told me anything that I still know."
    said = _told(text)
    if said:
        return f"I will remember: {said}." if remembers else "I keep no messages, so I will not remember that."
    return text


def _told(text: str) -> str:
    start, rest = text[: len(REMEMBER)], text[len(REMEMBER) :]
    return rest.strip().rstrip(".") if start.lower() == REMEMBER else ""


def _plain(text: str) -> str:
    return text.strip().rstrip("?!.").lower()
