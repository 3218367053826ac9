"""Whatever breaks, and wherever the operator dies: no data is lost, no two write, nobody overpays, all comes to rest.

A seed that fails prints itself and the end of its history; `python -m tests.simulation --seed N` plays it again.
"""

from collections import Counter

import pytest

from moorage.model.record import AgentState
from tests.simulation import bugs, play

SEEDS, AT_ONCE = 2_000, 100
# Found within a few seeds; `python -m tests.simulation --bugs` looks for all of them.
SOON_FOUND = {
    "the volume is freed although nothing was read back": "the last copy",
    "a mover starts while the pod still stops": "pods-",
    "what could not be read counts as absent": "",
    "a wallet at zero stops nobody": "does not come to rest",
}

# Purged by a job of its own, which is not part of a play.
NOT_PLAYED = {state for state in AgentState if state.startswith("Purg")}

deaths: Counter[str] = Counter()
visited: set[str] = set()


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_every_promise_is_kept(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        ended = play.run(seed)
        assert not ended.broken, f"seed {seed}: {ended.broken[0]}\n{ended.tail}"
        deaths.update(ended.deaths)
        visited.update(ended.visited)


def test_the_operator_died_before_and_after_each_of_its_calls() -> None:
    if not visited:
        pytest.skip("nothing was played")
    missed = [f"{when} {call}" for call in play.CALLS for when in ("before", "after") if not deaths[f"{when} {call}"]]
    assert missed == []
    assert visited >= {*AgentState, "left behind", "filled from another"} - NOT_PLAYED


def test_a_seed_tells_the_same_story_twice() -> None:
    assert play.run(7) == play.run(7)


@pytest.mark.parametrize(("bug", "verdict"), SOON_FOUND.items(), ids=SOON_FOUND)
def test_a_planted_bug_is_found(bug: str, verdict: str) -> None:
    with bugs.BUGS[bug]():
        found = next((ended for ended in map(play.run, range(50)) if ended.broken), None)
    assert found is not None
    assert verdict in found.broken[0]
