"""The page that visitors see while an agent is away: four moods of one small document, made once."""

import base64
import hashlib
from dataclasses import dataclass
from enum import Enum

from moorage.model.record import AgentState

STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--sea:#eef3f6;--card:#fff;--line:#dde5ea;--light:#2a8fa8}
@media(prefers-color-scheme:dark){:root{--ink:#e8eef2;--soft:#9fb0bd;--sea:#0f171d;--card:#172129;--line:#24323c;
--light:#6fd0e6}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--sea);color:var(--ink);
font:1rem/1.6 system-ui,sans-serif}
main{max-width:26rem;padding:2.5rem 2rem;background:var(--card);border:1px solid var(--line);border-radius:1rem;
text-align:center}
svg{width:4rem;height:4rem;fill:none;stroke:var(--light);stroke-width:3;stroke-linecap:round;stroke-linejoin:round}
h1{margin:1rem 0 .5rem;font-size:1.375rem;line-height:1.3}
p{margin:0;color:var(--soft)}
@media(prefers-reduced-motion:no-preference){.boat{animation:rock 4s ease-in-out infinite;transform-origin:32px 44px}}
@keyframes rock{0%,100%{transform:rotate(-4deg)}50%{transform:rotate(4deg)}}
"""
BOAT = (
    '<svg viewBox="0 0 64 64" aria-hidden="true"><g class="boat"><path d="M32 8v32M32 12l16 22H32M14 42h36l-6 10H20z"/>'
    '</g><path d="M4 58q7-5 14 0t14 0 14 0 14 0"/></svg>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a page says, and when asking again makes sense."""

    title: str
    text: str
    retry_seconds: int
    looks_again: bool = False  # by itself, also without scripts


class Mood(Enum):
    """Why the agent does not answer itself."""

    STARTING = Words(
        title="This agent is waking up",
        text="It will be here in a moment. This page looks again by itself.",
        retry_seconds=5,
        looks_again=True,
    )
    PAUSED = Words(
        title="This agent is resting",
        text="It has been paused and keeps everything it knows. Whoever looks after it can wake it at any time.",
        retry_seconds=300,
    )
    GONE = Words(
        title="There is no agent here",
        text="No agent answers to this name at the moment.",
        retry_seconds=3600,
    )
    UNKNOWN = Words(
        title="Please try again in a moment",
        text="We cannot see right now how this agent is doing. This page looks again by itself.",
        retry_seconds=10,
        looks_again=True,
    )


MOODS: dict[AgentState, Mood] = {
    AgentState.RUNNING: Mood.STARTING,  # it runs, and does not answer yet, or did not a moment ago
    AgentState.RESTORING: Mood.STARTING,
    AgentState.DRAINING: Mood.PAUSED,
    AgentState.SNAPSHOTTING: Mood.PAUSED,
    AgentState.VERIFYING: Mood.PAUSED,
    AgentState.SUSPENDED: Mood.PAUSED,
    AgentState.ARCHIVED: Mood.PAUSED,
    AgentState.PURGE_PENDING: Mood.PAUSED,
    AgentState.PURGED: Mood.GONE,
    AgentState.DELETED: Mood.GONE,
}


def mood_of(agent: AgentState | None) -> Mood:
    """How the page explains an agent in this state; None: there is none."""
    return Mood.GONE if agent is None else MOODS[agent]


def _document(words: Words) -> bytes:
    again = f'<meta http-equiv="refresh" content="{words.retry_seconds}">' if words.looks_again else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"{again}<title>{words.title}</title><style>{STYLE}</style></head>"
        f'<body><main role="status">{BOAT}<h1>{words.title}</h1><p>{words.text}</p></main></body></html>'
    ).encode()


DOCUMENTS = {mood: _document(mood.value) for mood in Mood}
# Nothing but this one style sheet: no scripts, no images, no frames, no forms, nothing from anywhere.
POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
