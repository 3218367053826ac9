"""`moorage purge`: see what is about to be deleted for good, and stop it."""

import dataclasses

import click

from moorage.cli import terminal
from moorage.model import clock, names
from moorage.model.purges import Done, Gate, Waiting
from moorage.store.database import Database
from moorage.store.purges import PurgeRows

_reason = click.option("--reason", required=True, help="Why; kept in the audit for ever.")


@click.group()
def purge() -> None:
    """See what is about to be deleted for good, and stop it."""


@purge.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many agents.")
@terminal.as_json
def status(limit: int, as_json: bool) -> None:
    """Show clock, switch and brake, and the agents whose data goes next."""

    async def call(database: Database) -> tuple[Gate, list[Waiting]]:
        rows = PurgeRows(database)
        return await rows.gate(), await rows.waiting(limit)

    gate, waiting = terminal.with_database(call)
    if as_json:
        agents = [dataclasses.asdict(one) for one in waiting]
        terminal.print_json({"gate": dataclasses.asdict(gate), "agents": agents})
        return
    click.echo(f"Clock      {clock.rfc3339(gate.now)} (the database's)")
    click.echo(f"Purges     {_allowed(gate)}")
    click.echo(f"Brake      {gate.lately} of {gate.per_hour} in this hour, {gate.living} snapshots in all")
    click.echo(f"Snapshots  {gate.entombed} go soon, {gate.objects_left} objects are left to remove")
    if not waiting:
        click.echo("No agent's grace counts down.")
        return
    click.echo(f"{'purged from':20}  {'agent':40}  {'wallet':20}  {'state':12}  notices")
    for one in waiting:
        when = clock.rfc3339(max(one.purge_at, one.purge_after or one.purge_at))
        name = f"{one.namespace}/{one.agent}"
        click.echo(f"{when:20}  {name:40}  {one.wallet:20}  {one.state:12}  {one.told} of 3")


@purge.command()
@_reason
def stop(reason: str) -> None:
    """Let nothing be purged, whatever is due, until `moorage purge allow`."""
    done = terminal.with_database(lambda database: PurgeRows(database).stop(reason=reason, actor=terminal.actor()))
    click.echo("Nothing is purged any more." if done else "Purges were stopped before.")


@purge.command()
@_reason
def allow(reason: str) -> None:
    """End `moorage purge stop`."""
    done = terminal.with_database(lambda database: PurgeRows(database).allow(reason=reason, actor=terminal.actor()))
    click.echo("Purges are allowed." if done else "Nobody had stopped purges.")


@purge.command()
@_reason
def release(reason: str) -> None:
    """Release the brake, after you know why so much was due: as much again may go, then it engages again."""
    done = terminal.with_database(lambda database: PurgeRows(database).release(reason=reason, actor=terminal.actor()))
    click.echo("The brake is released." if done else "The brake was not engaged.")


@purge.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many lines.")
@terminal.as_json
def audit(limit: int, as_json: bool) -> None:
    """Show what was purged, stopped and released, the newest first."""
    lines = terminal.with_database(lambda database: PurgeRows(database).audit(limit))
    if as_json:
        terminal.print_json([dataclasses.asdict(line) for line in lines])
        return
    for line in lines:
        click.echo(f"{clock.rfc3339(line.at)}  {line.step:13}  {_subject(line)}".rstrip())
    if not lines:
        click.echo("Nothing was purged yet.")


def _allowed(gate: Gate) -> str:
    if gate.doubt is not None:
        return f"none: {gate.doubt}; see `moorage ledger trust-restore`"
    if gate.stopped_at is not None:
        return f"stopped by a person at {clock.rfc3339(gate.stopped_at)}; `moorage purge allow` ends it"
    if gate.engaged_at is not None:
        return f"the brake engaged at {clock.rfc3339(gate.engaged_at)}; `moorage purge release` ends it"
    return "allowed"


def _subject(line: Done) -> str:
    parts = [
        line.cause,
        line.agent_uid and f"agent {line.agent_uid}",
        line.snapshot_id and names.snapshot_name(line.snapshot_id),
        line.volume_uid and f"volume {line.volume_uid}",
        line.reason and f"{line.actor}: {line.reason}",
    ]
    return "  ".join(part for part in parts if part)
