"""A host name has one holder: whoever asks first, and for names of a tenant's own whoever proves it."""

from dataclasses import replace

import pytest

from moorage.model.domain_record import DomainState, Standing
from moorage.model.domain_seen import ProofAnswer
from tests.integration.domains.registry import Registry
from tests.integration.money.world import START_S

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

BOT = "bot.agents.example"
DAY_S = 86_400


async def test_a_name_is_held_by_the_first_who_asks(registry: Registry) -> None:
    for name in ("acme", "other"):
        await registry.tenant(name)
    first, second = [await registry.domain(name, "bot.agents.example") for name in ("acme", "other")]
    assert [await registry.claim(uid) for uid in (first, second, first)] == [
        Standing.HELD,
        Standing.TAKEN,
        Standing.HELD,
    ]
    assert (await registry.record(second)).standing is Standing.TAKEN
    assert (await registry.record(first)).agent is not None


async def test_an_unproven_claim_gives_way_to_a_proof(registry: Registry) -> None:
    for name in ("acme", "other"):
        await registry.tenant(name)
    squatter, owner = [await registry.domain(name, "bank.example", own=True) for name in ("acme", "other")]
    assert await registry.claim(squatter) is Standing.HELD
    assert await registry.claim(owner) is Standing.TAKEN
    await registry.prove(owner)
    assert await registry.claim(owner) is Standing.HELD
    await registry.prove(squatter)
    assert await registry.claim(squatter) is Standing.TAKEN
    assert (await registry.record(owner)).challenge != (await registry.record(squatter)).challenge


async def test_a_name_that_was_used_waits_for_others_and_not_for_its_tenant(registry: Registry) -> None:
    for name in ("acme", "other"):
        await registry.tenant(name)
    first = await registry.domain("acme", BOT)
    await registry.claim(first)
    await gives_up_used(registry, first)
    again, theirs = await registry.domain("acme", BOT), await registry.domain("other", BOT)
    assert await registry.claim(theirs) is Standing.QUARANTINED
    assert await registry.claim(again) is Standing.HELD
    await registry.release(again)  # held for a moment only, and never used: what was used before it still counts
    await registry.world.at(START_S + 30 * DAY_S - 1)
    assert await registry.claim(theirs) is Standing.QUARANTINED
    await registry.world.at(START_S + 30 * DAY_S)
    assert await registry.claim(theirs) is Standing.HELD


async def test_a_name_that_was_never_used_is_free_at_once(registry: Registry) -> None:
    for name in ("acme", "other"):
        await registry.tenant(name)
    squatter, owner = [await registry.domain(name, "bank.example", own=True) for name in ("acme", "other")]
    await registry.claim(squatter)
    await registry.release(squatter)
    assert await registry.claim(owner) is Standing.HELD


async def test_a_name_in_use_is_not_given_up(registry: Registry) -> None:
    await registry.tenant("acme")
    uid = await registry.domain("acme", BOT)
    await registry.claim(uid)
    await registry.becomes(uid, "Active")
    await registry.release(uid)
    assert (await registry.record(uid)).standing is Standing.HELD
    with pytest.raises(AssertionError, match="held by what is gone"):
        await registry.domains.finish(epoch=1, uid=uid)


async def test_whoever_gives_a_name_up_claims_none(registry: Registry) -> None:
    await registry.tenant("acme")
    uid = await registry.domain("acme", BOT)
    await registry.becomes(uid, "Releasing")
    assert await registry.claim(uid) is Standing.TAKEN
    assert (await registry.record(uid)).standing is Standing.FREE


async def test_a_tenants_second_domain_takes_no_name_from_its_first(registry: Registry) -> None:
    await registry.tenant("acme")
    first, second = [await registry.domain("acme", "bank.example", own=True) for _ in "ab"]
    assert await registry.claim(first) is Standing.HELD
    await registry.prove(second)  # the text is the tenant's: who shows it for one shows it for both
    assert await registry.claim(second) is Standing.TAKEN
    assert (await registry.record(first)).standing is Standing.HELD


async def test_an_unproven_name_is_not_used_and_one_in_use_outlives_a_miss(registry: Registry) -> None:
    await registry.tenant("acme")
    uid = await registry.domain("acme", "bank.example", own=True)
    await registry.claim(uid)
    assert not await registry.uses(uid)
    await registry.prove(uid)
    assert await registry.uses(uid)
    await registry.prove(uid, ProofAnswer.MISSING)
    record = await registry.record(uid)
    assert record.proven_at is not None
    assert record.missing_since is not None


async def test_an_old_proof_or_one_that_is_gone_takes_nothing_over(registry: Registry) -> None:
    for name in ("acme", "other"):
        await registry.tenant(name)
    former, owner = [await registry.domain(name, "bank.example", own=True) for name in ("acme", "other")]
    assert await registry.claim(owner) is Standing.HELD
    await registry.prove(former)
    await registry.world.at(START_S + 3600)
    assert await registry.claim(former) is Standing.TAKEN
    await registry.prove(former)
    await registry.prove(former, ProofAnswer.MISSING)
    assert await registry.claim(former) is Standing.TAKEN
    assert (await registry.record(former)).proven_at is None


async def test_nothing_is_set_up_for_a_name_that_another_has_taken_over_meanwhile(registry: Registry) -> None:
    for name in ("acme", "other"):
        await registry.tenant(name)
    first, second = [await registry.domain(name, "bank.example", own=True) for name in ("acme", "other")]
    await registry.claim(first)
    looked_at = await registry.record(first)  # held, as far as this look knows
    await registry.prove(second)
    assert await registry.claim(second) is Standing.HELD
    await registry.prove(first)
    active = replace(looked_at, state=DomainState.ACTIVE)
    assert not await registry.domains.save(epoch=1, before=looked_at, after=active)
    assert await registry.uses(second)
    assert await registry.world.broken() == []


async def test_a_proof_that_vanishes_before_the_name_is_used_holds_nothing(registry: Registry) -> None:
    for name in ("acme", "other"):
        await registry.tenant(name)
    first, second = [await registry.domain(name, "bank.example", own=True) for name in ("acme", "other")]
    await registry.claim(first)
    await registry.prove(first)
    await registry.prove(second)
    assert await registry.claim(second) is Standing.TAKEN
    await registry.prove(first, ProofAnswer.UNKNOWN)
    assert await registry.claim(second) is Standing.TAKEN
    await registry.prove(first, ProofAnswer.MISSING)
    assert await registry.claim(second) is Standing.HELD


async def test_whoever_takes_names_up_and_gives_them_up_again_is_stopped(registry: Registry) -> None:
    await registry.tenant("acme")
    seen = []
    for number in range(8):
        uid = await registry.domain("acme", f"n{number}.agents.example")
        seen.append(await registry.claim(uid, names_max=2))
        await gives_up_used(registry, uid)
    assert seen == [Standing.HELD] * 6 + [Standing.LIMIT] * 2
    again = await registry.domain("acme", "n0.agents.example")
    assert await registry.claim(again, names_max=2) is Standing.HELD  # one of its own
    await registry.world.at(START_S + 30 * DAY_S)
    assert await registry.claim(await registry.domain("acme", BOT), names_max=2) is Standing.HELD


async def test_a_removed_tenant_claims_nothing_and_its_successor_waits(registry: Registry) -> None:
    await registry.tenant("acme")
    first, late = [await registry.domain("acme", f"{label}.agents.example") for label in ("bot", "late")]
    await registry.claim(first)
    await registry.world.sql.execute("UPDATE moorage.tenant SET removed_at = now() WHERE name = 'acme'")
    assert await registry.claim(late) is Standing.LIMIT
    await gives_up_used(registry, first)
    registry.world.tenants.clear()
    await registry.world.agent("successor", wallet="acme")  # a tenant of the same name
    assert await registry.claim(await registry.domain("acme", BOT)) is Standing.QUARANTINED


async def gives_up_used(registry: Registry, uid: str) -> None:
    """After it led to an agent."""
    await registry.becomes(uid, "Releasing")
    await registry.release(uid)
    await registry.domains.finish(epoch=1, uid=uid)


@pytest.mark.parametrize(
    "break_it",
    [
        "UPDATE moorage.claim SET domain_uid = NULL, quarantine_until = 'infinity'",
        "UPDATE moorage.claim SET proven_at = NULL",
        "UPDATE moorage.claim SET tenant_uid = (SELECT uid FROM moorage.tenant WHERE name = 'other')",
        "UPDATE moorage.domain SET proven_at = NULL",
        "UPDATE moorage.domain SET deleted_at = now()",
    ],
)
async def test_a_name_that_is_not_its_holders_is_found_at_night(registry: Registry, break_it: str) -> None:
    for name in ("acme", "other"):
        await registry.tenant(name)
    uid = await registry.domain("acme", "bank.example", own=True)
    await registry.claim(uid)
    await registry.prove(uid)
    await registry.becomes(uid, "Active")
    assert await registry.world.broken() == []
    await registry.world.sql.execute(break_it)
    assert await registry.world.broken() == ["I-27: ('bank.example',)"]
