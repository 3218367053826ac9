"""The story that `make up` tells: one agent runs, its credit ends, it is suspended, and a top-up brings it back."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import urllib3
from kubernetes import client

from dev import cluster, processes, progress, services
from dev.layout import Layout
from dev.scene import AGENT, NAMESPACE, WALLET, Scene, Theatre, status_of
from dev.trouble import Trouble

EXAMPLES = Path("examples") / "quickstart"
CHAT = f"/api/v1/namespaces/{NAMESPACE}/services/agent-{AGENT}:8080/proxy/chat"
# Fifteen seconds of the size `demo`: long enough for a few words on a slow machine.
FIRST_CREDITS = "0.075"
TOP_UP_CREDITS = "100"
# A story that was told lately left credit for hours; what lasts shorter than this is about to end.
RUNWAY_ENOUGH_SECONDS = 600
POLL_SECONDS = 0.1
ACT_SECONDS_MAX = 120
CHAT_SECONDS_MAX = 15

LOOK_AROUND = f"""
It keeps running. Look around:

  eval "$(make -s env)"
  kubectl get moorage -A
  kubectl describe agent {AGENT} -n {NAMESPACE}
  moorage wallet show {WALLET}
  moorage wallet history {WALLET}
  echo '{{"text": "recall"}}' | kubectl create --raw {CHAT} -f -

`make status` says what runs, `make down` stops it and keeps the data."""


@dataclass(frozen=True)
class Milestone:
    """Something that will be so, and the sentence to say then."""

    reached: Callable[[Scene], bool]
    sentence: Callable[[Scene], str]


class Teller:
    """Says sentences with the seconds since the story began, and since the last of them."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()

    def say(self, sentence: str) -> None:
        """One line."""
        now = time.monotonic()
        progress.say(f"  {now - self._began:6.1f} s  {f'+{now - self._last:.1f}':>6}  {sentence}")
        self._last = now


def run(layout: Layout) -> None:
    """Tell it from where the agent stands: from the beginning, from its suspension, or in short."""
    theatre, teller = Theatre(layout), Teller()
    scene = theatre.look()
    runway = scene.seconds_to_zero
    progress.say(f"\nThe story of one agent ({EXAMPLES}):")
    if scene.condition("Ready") == "True" and (runway is None or runway > RUNWAY_ENOUGH_SECONDS):
        teller.say(f"the agent {NAMESPACE}/{AGENT} still runs")
        _say_answer(layout, teller, "what did I tell you?")
        _say_money(layout, teller, wait_for_burn=False)
    else:
        earlier = str(scene.snapshot.get("id", ""))
        suspended = scene.condition("Suspended") == "True"
        if scene.agent is None or not scene.exhausted:
            _first_act(layout, theatre, teller)
        if not suspended:
            _second_act(theatre, teller, earlier)
        _third_act(layout, theatre, teller)
    progress.say(LOOK_AROUND)


def _first_act(layout: Layout, theatre: Theatre, teller: Teller) -> None:
    """A wallet with a little credit, a tenant, and an agent that starts and is told something."""
    _apply(layout, "wallet")
    _until(theatre, teller, [Milestone(_wallet_open, lambda _: f"wallet {WALLET} is open")])
    if theatre.look().balance == 0:
        _grant(layout, teller, FIRST_CREDITS)
    _apply(layout, "namespace")
    _until(theatre, teller, [Milestone(_tenant_ready, lambda _: f"tenant {WALLET} owns the namespace {NAMESPACE}")])
    _apply(layout, "agent")
    teller.say(f"agent {AGENT} applied")
    _until(theatre, teller, [Milestone(_is_ready, lambda scene: f"agent Ready, in the pod {scene.pods[-1]}")])
    _say_answer(layout, teller, f"remember the anchor was dropped at {time.strftime('%H:%M:%S')}")
    _say_money(layout, teller, wait_for_burn=True)


def _second_act(theatre: Theatre, teller: Teller, earlier_snapshot: str) -> None:
    """The credit ends; the agent goes, its data stays."""

    def verified(scene: Scene) -> bool:
        return bool(scene.snapshot.get("verified")) and scene.snapshot["id"] != earlier_snapshot

    _until(
        theatre,
        teller,
        [
            Milestone(lambda scene: scene.exhausted, lambda _: "zero: the wallet cannot pay the next second"),
            Milestone(lambda scene: not scene.pods, lambda _: "the pod is gone"),
            Milestone(verified, _snapshot),
            Milestone(
                lambda scene: scene.condition("Suspended") == "True",
                lambda scene: f"agent Suspended ({scene.reason('Suspended')})",
            ),
        ],
    )


def _third_act(layout: Layout, theatre: Theatre, teller: Teller) -> None:
    """A top-up brings it back."""
    _grant(layout, teller, TOP_UP_CREDITS)
    _until(theatre, teller, [Milestone(_is_ready, lambda scene: f"agent Ready again, in the pod {scene.pods[-1]}")])
    _say_answer(layout, teller, "what did I tell you?")
    _say_money(layout, teller, wait_for_burn=True)


def _wallet_open(scene: Scene) -> bool:
    return status_of(scene.wallet, "Ready") == "True"


def _tenant_ready(scene: Scene) -> bool:
    return status_of(scene.tenant, "Ready") == "True"


def _is_ready(scene: Scene) -> bool:
    return scene.condition("Ready") == "True" and bool(scene.pods)


def duration(seconds: float) -> str:
    """A span for people: seconds while they count, then hours and minutes."""
    return f"{seconds:.0f} s" if seconds < 2 * 60 else f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"


def _snapshot(scene: Scene) -> str:
    return f"snapshot of {scene.snapshot['bytes']:,} bytes, encrypted, read back and verified"


def _until(theatre: Theatre, teller: Teller, milestones: list[Milestone]) -> None:
    """Say each milestone when it is reached, in their order; fail when the next one does not come."""
    deadline = time.monotonic() + ACT_SECONDS_MAX
    ahead = list(milestones)
    while ahead:
        try:
            scene = theatre.look()
        except (client.ApiException, urllib3.exceptions.HTTPError) as error:
            raise Trouble("The API server does not answer any more; `make status` says what runs.") from error
        while ahead and ahead[0].reached(scene):
            teller.say(ahead.pop(0).sentence(scene))
        if ahead and time.monotonic() > deadline:
            raise Trouble(
                f"The story did not go on within {ACT_SECONDS_MAX} s. The agent's Ready is "
                f"{scene.condition('Ready') or 'not set'} ({scene.reason('Ready')}). Look at the operator's log: "
                "`make status` says where it is."
            )
        if ahead:
            time.sleep(POLL_SECONDS)


def _apply(layout: Layout, name: str) -> None:
    cluster.kubectl(layout, "apply", "-f", str(layout.root / EXAMPLES / f"{name}.yaml"))


def _grant(layout: Layout, teller: Teller, credit: str) -> None:
    _moorage(layout, "grant", WALLET, credit, "--reason", "the story of make up")
    teller.say(f"granted {credit} credits")


def _say_money(layout: Layout, teller: Teller, *, wait_for_burn: bool) -> None:
    """Balance, burn and time to zero, straight from the ledger: a status shows the last settlement."""
    deadline = time.monotonic() + ACT_SECONDS_MAX
    while True:
        wallet = json.loads(_moorage(layout, "show", WALLET, "--json"))
        burns, runway = bool(wallet["burn_picos"]), wallet["runway_seconds"]
        if burns or not wait_for_burn or wallet["standing"] == "Exhausted" or time.monotonic() > deadline:
            break
    burn_micros_hourly = wallet["burn_picos"] * 3600 // 10**6
    lasts = f"zero in {duration(runway)}" if burns and runway is not None else "nothing burns"
    balance, burn = credit(wallet["live_balance_micros"]), credit(burn_micros_hourly)
    teller.say(f"balance {balance} credits, burn {burn} per hour, {lasts}")


def _moorage(layout: Layout, *arguments: str) -> str:
    command = Path(sys.executable).parent / "moorage"
    wanted = {services.DATABASE_VARIABLE: services.database_url(layout, on_host=True)}
    return processes.run([str(command), "wallet", *arguments], env=wanted)


def credit(micros: int) -> str:
    """Micro-credits as credits, with at least two decimals."""
    return f"{micros // 10**6}.{micros % 10**6:06d}".rstrip("0").ljust(len(str(micros // 10**6)) + 3, "0")


def _say_answer(layout: Layout, teller: Teller, text: str) -> None:
    teller.say(f'asked "{text}", it answers: "{_chat(layout, text)}"')


def _chat(layout: Layout, text: str) -> str:
    """Say something to the agent through the API server, as anybody with kubectl can."""
    deadline = time.monotonic() + CHAT_SECONDS_MAX
    while True:
        try:
            said = cluster.kubectl(layout, "create", "--raw", CHAT, "-f", "-", input=json.dumps({"text": text}))
            return str(json.loads(said)["answer"])
        except Trouble:
            # Ready comes a moment before the service knows the new pod's address.
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
