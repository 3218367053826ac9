"""`moorage purge`: what people see of what is about to go, and how they stop it."""

import asyncio
import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from moorage.cli import main
from tests.integration.money.world import new_world
from tests.integration.purge.world import END_S, House

pytestmark = pytest.mark.postgres

Moorage = Callable[..., Result]


async def _set_up(url: str) -> None:
    async with new_world(url) as world:
        house = House(world)
        (uid,) = await house.starved()
        await house.entombed(uid)
        gone = await world.agent("gone", state="Deleted")
        for _ in range(51):
            await house.snapshot(gone, keep_until_s=END_S)
        await house.purges.remove_snapshots(epoch=1)
        await world.at(END_S + 3600)


@pytest.fixture
def moorage(database_url: str) -> Moorage:
    """Runs a command as `ann`, on a platform with one agent and 51 snapshots under a tombstone."""
    asyncio.run(_set_up(database_url))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(
            main, list(arguments), env={"MOORAGE_DATABASE_URL": database_url, "LOGNAME": "ann", "USER": "ann"}
        )

    return run


async def _purge(url: str) -> None:
    async with House.at(url) as house:
        await house.purges.remove_snapshots(epoch=1)


def test_who_is_next_is_shown_to_people_and_to_programs(moorage: Moorage) -> None:
    said = moorage("purge", "status").output
    assert "Purges     allowed" in said
    assert "mn-acme/acme-0" in said
    assert "3 of 3" in said
    answer = json.loads(moorage("purge", "status", "--json").output)
    assert answer["agents"][0]["state"] == "PurgePending"
    assert (answer["gate"]["per_hour"], answer["gate"]["entombed"]) == (50, 51)


def test_the_switch_is_put_and_lifted_with_a_reason(moorage: Moorage) -> None:
    assert "reason" in moorage("purge", "stop").output, "nobody stops purges without saying why"
    assert moorage("purge", "stop", "--reason", "drill").output == "Nothing is purged any more.\n"
    assert moorage("purge", "stop", "--reason", "drill").output == "Purges were stopped before.\n"
    assert "stopped by a person" in moorage("purge", "status").output
    assert moorage("purge", "allow", "--reason", "over").output == "Purges are allowed.\n"
    assert moorage("purge", "allow", "--reason", "over").output == "Nobody had stopped purges.\n"
    lines = json.loads(moorage("purge", "audit", "--json").output)
    assert [(line["step"], line["actor"], line["reason"]) for line in lines] == [
        ("Allowed", "cli:ann", "over"),
        ("Stopped", "cli:ann", "drill"),
    ]
    assert "cli:ann: drill" in moorage("purge", "audit").output


def test_the_brake_is_shown_and_released(moorage: Moorage, database_url: str) -> None:
    assert moorage("purge", "release", "--reason", "none").output == "The brake was not engaged.\n"
    asyncio.run(_purge(database_url))
    said = moorage("purge", "status").output
    assert "the brake engaged at" in said
    assert "50 of 50 in this hour" in said
    assert moorage("purge", "release", "--reason", "a tenant left").output == "The brake is released.\n"
    audit = moorage("purge", "audit", "--limit", "200").output
    assert audit.count("KeyDestroyed") == 50
    assert "snp_" in audit
