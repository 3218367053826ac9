"""`moorage agent`: why an agent is as it is, for the people who run the platform."""

import dataclasses
import unicodedata
from typing import Any

import click
import msgspec

from moorage.cli import terminal
from moorage.kube import agents, kinds, login, logs
from moorage.kube.client import Client
from moorage.model.conditions import Condition

LINE_LENGTH_MAX = 400
# In the order in which a reader asks.
ORDER = ("Ready", "Healthy", "Funded", "Suspended", "VolumeReady", "SnapshotReady")


class LastExit(msgspec.Struct, frozen=True, rename="camel"):
    """status.lastExit."""

    reason: str
    exit_code: int | None = None
    at: str | None = None


class LastSnapshot(msgspec.Struct, frozen=True, rename="camel"):
    """status.lastSnapshot."""

    id: str
    taken_at: str


class Shown(msgspec.Struct, frozen=True, rename="camel"):
    """What of an Agent's status is explained."""

    conditions: list[Condition] = []
    pod_name: str | None = None
    restarts: int = 0
    last_exit: LastExit | None = None
    last_snapshot: LastSnapshot | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """An agent's status, and what its container said last."""

    name: str
    status: Shown
    log: list[str]
    log_before: list[str]  # of the container before the last restart


@click.group()
def agent() -> None:
    """Look into agents."""


@agent.command()
@click.argument("name", metavar="NAMESPACE/NAME")
@click.option("--lines", type=click.IntRange(0, 500), default=20, show_default=True, help="How much of its log.")
@terminal.as_json
def explain(name: str, lines: int, as_json: bool) -> None:
    """Say why the agent NAMESPACE/NAME is as it is: conditions, last exit, and the last lines it logged.

    The cluster is the one of KUBECONFIG. Log lines belong to the tenant: they are fetched now and kept nowhere.
    """
    namespace, slash, short = name.partition("/")
    if not (namespace and slash and short) or "/" in short:
        raise click.UsageError(f"{name} is not NAMESPACE/NAME, such as mn-acme/helper.")

    async def call() -> Explained | None:
        async with Client.connect(login.from_environment()) as client:
            return await look(client, namespace, short, lines=lines)

    found = terminal.run(call())
    if found is None:
        raise click.ClickException(f"There is no agent {short} in the namespace {namespace}.")
    if as_json:
        terminal.print_json(_plain(found))
        return
    for line in told(found):
        click.echo(line)


async def look(client: Client, namespace: str, name: str, *, lines: int) -> Explained | None:
    """Read an agent and the end of its logs; None when there is no such agent."""
    found = await client.get(kinds.object_path(kinds.AGENT, namespace, name), agents.AgentObject)
    if found is None:
        return None
    status = msgspec.json.decode(found.status, type=Shown)
    log: list[str] = []
    before: list[str] = []
    if status.pod_name is not None and lines:
        log = await logs.tail(client, namespace, status.pod_name, lines=lines, previous=False)
        if status.restarts:
            before = await logs.tail(client, namespace, status.pod_name, lines=lines, previous=True)
    return Explained(name=f"{namespace}/{name}", status=status, log=log, log_before=before)


def told(found: Explained) -> list[str]:
    """The answer as lines for a person."""
    status = found.status
    by_type = {item.type.value: item for item in status.conditions}
    said = [f"Agent          {found.name}"]
    for kind in [*(kind for kind in ORDER if kind in by_type), *sorted(by_type.keys() - set(ORDER))]:
        item = by_type[kind]
        said.append(f"{kind:<14} {item.status:<8} {item.reason:<20} {item.message}")
    if status.last_exit is not None:
        code = "" if status.last_exit.exit_code is None else f", exit code {status.last_exit.exit_code}"
        at = "" if status.last_exit.at is None else f", {status.last_exit.at}"
        said.append(f"Last exit      {status.last_exit.reason}{code}{at}")
    if status.last_snapshot is not None:
        said.append(f"Last snapshot  {status.last_snapshot.id}, {status.last_snapshot.taken_at}")
    said.append(f"Pod            {status.pod_name or 'none'}, restarts: {status.restarts}")
    for heading, lines in (("Log before its last restart", found.log_before), ("Log", found.log)):
        if lines:
            said += [f"{heading}:", *(f"  {printable(line)}" for line in lines)]
    return said


def printable(line: str) -> str:
    """A line without what a terminal would obey: an agent must not move the cursor of who looks at its log."""
    shown = "".join(sign if sign == "\t" or unicodedata.category(sign)[0] != "C" else "\N{REPLACEMENT CHARACTER}"
                    for sign in line[:LINE_LENGTH_MAX])  # fmt: skip
    return shown if len(line) <= LINE_LENGTH_MAX else f"{shown}…"


def _plain(found: Explained) -> dict[str, Any]:  # Any: JSON
    return {
        "name": found.name,
        "status": msgspec.to_builtins(found.status),
        "log": found.log,
        "logBeforeLastRestart": found.log_before,
    }
