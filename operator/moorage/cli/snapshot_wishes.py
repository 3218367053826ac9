"""`moorage snapshot list | take | restore`: see what there is, ask for more, and go back."""

import asyncio
import dataclasses
import time
from collections.abc import Callable

import click

from moorage.cli import terminal
from moorage.model import clock, names
from moorage.store.database import Database
from moorage.store.wishes import Asked, Progress, Wishes

LOOK_SECONDS = 0.5
WAIT_SECONDS_MAX = 3600

wait_option = click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Say how it goes, and end when it is done."
)

REFUSALS = {
    Asked.NO_AGENT: "There is no agent {agent}; name it as NAMESPACE/NAME, for example mn-acme/helper",
    Asked.NO_DATA: "{agent} has not stored anything yet, so there is nothing to take",
    Asked.NO_STORAGE: "{agent} has no storage; add spec.storage first",
    Asked.PURGED: "The data of {agent} was deleted for good; create a new agent with spec.restoreFrom",
    Asked.NO_SNAPSHOT: "The tenant of {agent} has no such snapshot; `moorage snapshot list` shows what there is",
}


@click.command("list")
@click.argument("place", required=False, metavar="[NAMESPACE[/NAME]]")
@terminal.as_json
def list_snapshots(place: str | None, as_json: bool) -> None:
    """List verified snapshots: all, those of one namespace, or those of one agent."""
    namespace, _, agent = (place or "").partition("/")

    async def call(database: Database) -> None:
        found = await Wishes(database).listed(namespace or None, agent or None)
        if as_json:
            terminal.print_json([{**dataclasses.asdict(one), "name": names.snapshot_name(one.id)} for one in found])
            return
        if not found:
            click.echo("There are no snapshots here.")
        for one in found:
            owner = f"{one.namespace}/{one.agent}" + (" (deleted)" if one.deleted else "")
            fate = "last" if one.last else ""
            if one.keep_until is not None:
                fate = f"until {clock.rfc3339(one.keep_until)}"
            click.echo(
                f"{names.snapshot_name(one.id)}  {clock.rfc3339(one.taken_at)}  {one.object_bytes:>13,} bytes"
                f"  {one.file_count:>8,} files  {one.purpose:<10}  {owner}  {fate}".rstrip()
            )

    terminal.with_database(call)


@click.command()
@click.argument("agent", metavar="NAMESPACE/NAME")
@wait_option
def take(agent: str, wait: bool) -> None:
    """Take a snapshot of an agent now.

    An agent at work is stopped for the moment in which its data is read, and started again by itself.
    """
    namespace, name = _split(agent)

    async def call(database: Database) -> None:
        wishes = Wishes(database)
        before = await wishes.progress(namespace, name)
        said = await wishes.take(namespace, name)
        if said is Asked.AT_REST and before is not None and before.snapshot_id is not None:
            last = next(one for one in await wishes.listed(namespace, name) if one.last)
            click.echo(f"{agent} is at rest; {names.snapshot_name(last.id)} is all it has.")
            return
        _refuse(said, agent)
        click.echo(f"Asked for a snapshot of {agent}.")
        if not wait:
            return
        done = await _until(wishes, agent, lambda now: now.wish is None)
        if done.snapshot_id == (before.snapshot_id if before else None):
            raise click.ClickException("No snapshot could be taken; `kubectl describe agent` and the log say why.")
        last = next(one for one in await wishes.listed(namespace, name) if one.last)
        shown = names.snapshot_name(last.id)
        click.echo(f"{shown} is verified: {last.file_count:,} files, {last.object_bytes:,} bytes.")

    terminal.with_database(call)


@click.command()
@click.argument("snapshot")
@click.argument("agent", metavar="NAMESPACE/NAME")
@wait_option
def restore(snapshot: str, agent: str, wait: bool) -> None:
    """Give an agent the data of SNAPSHOT in place of what it has.

    What it has now is kept as a snapshot first, so this can be undone. An agent that is suspended gets the data when it
    resumes. To fill a new agent, set spec.restoreFrom instead.
    """
    namespace, name = _split(agent)
    snapshot_id = names.snapshot_id(snapshot)
    if snapshot_id is None:
        raise click.UsageError(f"{snapshot} is not the name of a snapshot; it looks like snp_ and 32 digits.")

    async def call(database: Database) -> None:
        wishes = Wishes(database)
        _refuse(await wishes.restore(namespace, name, snapshot_id), agent)
        click.echo(f"{agent} will have the data of {snapshot}; what it has now is kept as a snapshot first.")
        if not wait:
            return
        done = await _until(wishes, agent, lambda now: now.restore_id is None or now.state == "Suspended")
        if done.restore_id is not None:
            click.echo(f"{agent} is suspended; it gets the data when it resumes.")
        else:
            click.echo(f"{agent} has the data of {snapshot}.")

    terminal.with_database(call)


def _split(agent: str) -> tuple[str, str]:
    namespace, slash, name = agent.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise click.UsageError(f"{agent} is not NAMESPACE/NAME, for example mn-acme/helper.")
    return namespace, name


def _refuse(said: Asked, agent: str) -> None:
    if said in REFUSALS:
        raise click.ClickException(f"{REFUSALS[said].format(agent=agent)}.")


async def _until(wishes: Wishes, agent: str, reached: Callable[[Progress], bool]) -> Progress:
    """Look until it is so, and say each state on the way once."""
    namespace, name = _split(agent)
    told, ends = "", time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < ends:
        now = await wishes.progress(namespace, name)
        if now is None:
            raise click.ClickException(f"{agent} was deleted meanwhile.")
        if now.state != told:
            told = now.state
            click.echo(f"  {told}" + (f", {now.failures} failed" if now.failures else ""), err=True)
        if reached(now):
            return now
        await asyncio.sleep(LOOK_SECONDS)
    raise click.ClickException(f"{agent} is still {told} after an hour; it goes on, `kubectl get agents` shows how.")
