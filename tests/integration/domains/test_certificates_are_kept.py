"""A host name has a certificate that fits, renewed in time, asked for with patience and given back in the end."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from moorage.lifecycle import certificate as rules
from moorage.model.domain import Issuer
from moorage.model.domain_seen import Sight
from moorage.model.errors import LostLeadership, NotAsked, Permanent, Transient, Unavailable
from moorage.model.reasons import Reason
from moorage.services.revocations import FAILURES_MAX
from tests.integration.domains.certified import ISSUER, Certified
from tests.integration.domains.registry import Registry

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

LONG_AGO = datetime(1960, 1, 1, tzinfo=UTC)
Spoil = Callable[[Certified], Awaitable[None]]


@pytest.fixture
async def stage(registry: Registry) -> Certified:
    """One tenant and a keeper."""
    return await Certified.of(registry)


async def test_a_wish_brings_a_certificate_whose_key_fits_and_rings(stage: Certified) -> None:
    uid = await stage.active()
    assert (await stage.wish(uid)).sight is Sight.UNDER_WAY
    seen = await stage.look(uid)
    kept = (await stage.record(uid)).certificate
    assert kept is not None
    assert (seen.sight, seen.id) == (Sight.THERE, kept.id)
    pair = await stage.keeper.pair(uid)
    assert pair is not None
    first = x509.load_pem_x509_certificates(pair[0].encode())[0]
    key = serialization.load_pem_private_key(pair[1].encode(), None)
    assert first.public_key() == key.public_key()
    assert len(stage.rung) == 1
    await stage.look(uid)
    assert len(stage.authority.asked) == 1, "what is there is not asked for again"
    assert len(stage.rung) == 1


async def test_the_key_is_sealed_for_its_tenant_and_nowhere_else(stage: Certified) -> None:
    uid = await stage.active()
    await stage.look(uid)
    _, key = await stage.keeper.pair(uid) or ("", "")
    row = await stage.registry.world.sql.fetchrow("SELECT * FROM moorage.domain WHERE uid = $1", uid)
    assert key.split("\n")[1] not in str(dict(row))
    assert row["sealed_key"]
    assert row["key_version"] == 1


async def test_a_name_of_the_tenants_own_is_asked_for_with_its_delegation(stage: Certified) -> None:
    uid = await stage.active("www.bank.example", own=True)
    await stage.look(uid)
    assert stage.authority.asked == [("www.bank.example", f"{uid}.acme.agents.example")]


async def test_renewal_begins_with_a_third_left_and_the_old_one_serves_meanwhile(stage: Certified) -> None:
    uid = await stage.active()
    first = (await stage.look(uid)).id
    due_in = rules.due_in_seconds(await stage.record(uid), ISSUER)
    assert due_in is not None
    assert 90 * 86_400 * (2 / 3 - rules.SPREAD) - 120 <= due_in <= 90 * 86_400 * 2 / 3
    await stage.later(seconds=due_in - 1)
    assert (await stage.look(uid)).id == first
    await stage.later(seconds=2)
    stage.authority.trouble = Unavailable("away")
    seen = await stage.look(uid)
    assert (seen.sight, seen.id) == (Sight.THERE, first)
    assert await stage.keeper.pair(uid) is not None
    stage.authority.trouble = None
    await stage.later(minutes=10)
    seen = await stage.look(uid)
    assert seen.sight is Sight.THERE
    assert seen.id != first


async def test_one_that_could_not_be_renewed_is_told_to_have_run_out(stage: Certified) -> None:
    uid = await stage.active()
    await stage.look(uid)
    stage.authority.trouble = Unavailable("away")
    await stage.later(days=91)
    seen = await stage.look(uid)
    assert (seen.sight, seen.problem) == (Sight.DIFFERENT, Reason.CERTIFICATE_EXPIRED)


async def _another_key(stage: Certified) -> None:
    stage.authority.key = ec.generate_private_key(ec.SECP256R1()).public_key()


async def _another_name(stage: Certified) -> None:
    stage.authority.names = lambda _: ["bot.agents.example", "bank.example"]


async def _no_name(stage: Certified) -> None:
    stage.authority.names = lambda _: []


async def _over(stage: Certified) -> None:
    stage.authority.now = lambda: LONG_AGO


@pytest.mark.parametrize("spoil", [_another_key, _another_name, _no_name, _over])
async def test_what_was_not_asked_for_is_not_kept(stage: Certified, spoil: Spoil) -> None:
    await spoil(stage)
    uid = await stage.active()
    seen = await stage.look(uid)
    assert (seen.sight, seen.problem) == (Sight.REFUSED, Reason.CERTIFICATE_REFUSED)
    assert (await stage.record(uid)).certificate is None


@pytest.mark.parametrize(
    ("trouble", "sight", "reason", "in_an_hour"),
    [
        (Permanent(Reason.CERTIFICATE_REFUSED), Sight.REFUSED, Reason.CERTIFICATE_REFUSED, range(3, 6)),
        (Unavailable("away"), Sight.UNDER_WAY, Reason.PROVIDER_UNREACHABLE, range(8, 16)),
        (Transient("slow down", retry_after_seconds=2_000), Sight.UNDER_WAY, Reason.PROVIDER_UNREACHABLE, range(2, 3)),
        (Permanent(Reason.ACME_NOT_DELEGATED), Sight.REFUSED, Reason.ACME_NOT_DELEGATED, range(8, 16)),
    ],
    ids=["refused", "away", "asks for patience", "not delegated"],
)
async def test_an_issuer_is_not_asked_again_and_again(
    stage: Certified, trouble: Exception, sight: Sight, reason: Reason, in_an_hour: range
) -> None:
    uid = await stage.active()
    stage.authority.trouble = trouble
    seen = await stage.look(uid)
    assert (seen.sight, seen.problem) == (sight, reason)
    for _ in range(3599):
        stage.now_s += 1
        if await _would_ask(stage):
            await stage.later()
            stage.keeper = stage.new_keeper()  # a new leader has no more liberty than the last
            seen = await stage.look(uid)
            assert (seen.sight, seen.problem) == (sight, reason)
    assert len(stage.authority.asked) in in_an_hour


@pytest.mark.parametrize("seen_to_end", [True, False], ids=["refused", "killed in the middle"])
async def test_leaders_that_follow_one_another_ask_no_more_than_one_that_stays(
    stage: Certified, seen_to_end: bool
) -> None:
    uid = await stage.active()
    stage.authority.trouble = Permanent(Reason.CERTIFICATE_REFUSED) if seen_to_end else ZeroDivisionError()
    await stage.wish(uid)
    with contextlib.suppress(ZeroDivisionError):  # a bug ends the process
        await stage.keeper.step()
    for _ in range(5):
        stage.keeper = stage.new_keeper()
        seen = await stage.look(uid)
        assert seen.problem is (Reason.CERTIFICATE_REFUSED if seen_to_end else None)
    assert len(stage.authority.asked) == 1


async def test_an_attempt_that_could_not_be_made_is_none(stage: Certified) -> None:
    uid = await stage.active()
    for closings in (5, 3):  # the pause after a refusal grows with refusals only
        stage.authority.trouble = NotAsked("closed", wait_seconds=300)
        for _ in range(closings):
            seen = await stage.look(uid)
            assert (seen.sight, seen.problem) == (Sight.UNDER_WAY, Reason.PROVIDER_UNREACHABLE)
            asked = len(stage.authority.asked)
            await stage.later(seconds=299)
            await stage.look(uid)
            assert len(stage.authority.asked) == asked, "earlier than was said"
            await stage.later(seconds=1)
        stage.authority.trouble = Permanent(Reason.CERTIFICATE_REFUSED)
        await stage.look(uid)
        await stage.later(seconds=rules.AFTER_REFUSAL.first_seconds * 2)
    stage.authority.trouble = None
    await stage.look(uid)
    assert (await stage.record(uid)).certificate is not None


async def _would_ask(stage: Certified) -> bool:
    """Whether the database lets the next attempt begin by now; asked seldom, or the test takes minutes."""
    if int(stage.now_s) % 10:
        return False
    sql = "SELECT retry_at <= to_timestamp($1) FROM moorage.certificate_attempt"
    return bool(await stage.registry.world.sql.fetchval(sql, stage.now_s))


async def test_one_that_comes_after_its_domain_was_given_up_goes_back(stage: Certified) -> None:
    uid = await stage.active()
    stage.authority.before_answer = lambda: stage.state(uid, "Releasing")
    await stage.look(uid)
    assert (await stage.record(uid)).certificate is None
    await stage.later(minutes=2)
    await stage.keeper.step()
    assert len(stage.authority.revoked) == 1


async def test_what_is_given_up_is_forgotten_at_once_and_revoked_in_time(stage: Certified) -> None:
    uid = await stage.active()
    kept = (await stage.look(uid)).id
    stage.authority.trouble = Unavailable("away")
    await stage.state(uid, "Releasing")
    for _ in range(2):
        await stage.keeper.revoke(await stage.record(uid))
    assert (await stage.record(uid)).certificate is None
    assert await stage.keeper.pair(uid) is None
    for _ in range(3):
        await stage.later(minutes=10)
        await stage.keeper.step()
    assert stage.authority.revoked == []
    stage.authority.trouble = None
    stage.keeper = stage.new_keeper()
    await stage.later(days=1)
    await stage.keeper.step()
    assert stage.authority.revoked == [kept]
    assert await stage.registry.world.sql.fetchval("SELECT count(*) FROM moorage.certificate_revocation") == 0
    assert (stage.counted("not_revoked"), stage.counted("revoked")) == (3, 1)


async def test_a_revocation_that_nobody_heard_of_is_no_failure(stage: Certified) -> None:
    uid = await stage.active()
    kept = (await stage.look(uid)).id
    await stage.state(uid, "Releasing")
    await stage.keeper.revoke(await stage.record(uid))
    stage.authority.trouble = NotAsked("closed", wait_seconds=300)
    for _ in range(FAILURES_MAX + 1):  # after so many failures it would be given up
        await stage.later(seconds=300)
        await stage.keeper.step()
    stage.authority.trouble = None
    await stage.later(seconds=300)
    await stage.keeper.step()
    assert stage.authority.revoked == [kept]
    assert stage.counted("not_revoked") == 0


async def test_one_that_has_run_out_is_not_revoked(stage: Certified) -> None:
    uid = await stage.active()
    await stage.look(uid)
    await stage.later(days=91)
    await stage.state(uid, "Releasing")
    await stage.keeper.revoke(await stage.record(uid))
    await stage.later(minutes=2)
    await stage.keeper.step()
    assert stage.authority.revoked == []


@pytest.mark.parametrize("state", ["Pending", "Releasing", "Released"])
async def test_nothing_is_asked_for_a_domain_that_is_not_active(stage: Certified, state: str) -> None:
    uid = await stage.active()
    await stage.wish(uid)
    await stage.state(uid, state)
    await stage.keeper.step()
    await stage.look(uid)
    assert stage.authority.asked == []


async def test_an_issuer_that_is_not_offered_is_told(stage: Certified) -> None:
    uid = await stage.active()
    seen = await stage.look(uid, Issuer.CLOUDFLARE)
    assert (seen.sight, seen.problem) == (Sight.REFUSED, Reason.ISSUER_UNKNOWN)


async def test_a_leader_of_the_past_keeps_nothing(stage: Certified) -> None:
    uid = await stage.active()
    stage.authority.before_answer = _succeeded(stage)
    await stage.wish(uid)
    with pytest.raises(LostLeadership):
        await stage.keeper.step()
    assert (await stage.record(uid)).certificate is None


def _succeeded(stage: Certified) -> Callable[[], Awaitable[None]]:
    async def take_over() -> None:
        await stage.registry.world.sql.execute("UPDATE moorage.leader SET epoch = epoch + 1")

    return take_over


async def test_the_end_of_the_first_certificate_is_measured(stage: Certified) -> None:
    uid = await stage.active()
    await stage.look(uid)
    await stage.later(minutes=2)
    await stage.keeper.step()
    told = stage.metrics.registry.get_sample_value("moorage_domain_certificate_expiry_timestamp_seconds")
    kept = (await stage.record(uid)).certificate
    assert kept is not None
    assert told == kept.not_after.timestamp()


async def test_of_many_wishes_few_are_asked_at_once(stage: Certified) -> None:
    gate, inside, most = asyncio.Event(), 0, 0

    async def wait() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if inside == 8:
            gate.set()
        await gate.wait()
        inside -= 1

    stage.authority.before_answer = wait
    uids = [await stage.active(f"bot{number}.agents.example") for number in range(12)]
    for uid in uids:
        await stage.wish(uid)
    await stage.keeper.step()
    assert most == 8
    assert [(await stage.wish(uid)).sight for uid in uids] == [Sight.THERE] * 12
