"""No more calls than the provider allows, whoever asks; when it says enough, there are none at all."""

import random

import pytest

from moorage.model.domain_seen import Sight
from moorage.model.errors import NotAsked, Transient, Unavailable
from moorage.model.reasons import Reason
from moorage.providers.allowance import Allowance, Urgency
from moorage.providers.cloudflare_origin import CloudflareOrigin
from moorage.services.patience import Patience, ProviderFailed
from tests.fakes.cloudflare.account import EVERYTHING, LIMIT, SSL, TOKEN, WINDOW_SECONDS
from tests.simulation import virtual_time
from tests.unit.zones.stage import Stage, owner, played, record

SEED = 7


@played
async def test_no_call_is_made_while_the_provider_asks_for_patience(stage: Stage) -> None:
    await stage.pass_time(5)
    stage.account.blocked_until = stage.account.clock() + WINDOW_SECONDS
    stage.account.calls.clear()
    stage.zones.wish(owner(1), record(1))
    await stage.pass_time(WINDOW_SECONDS - 10)
    assert stage.account.calls == {"write_records": 1}  # the one that was told so
    seen = stage.zones.seen(owner(1).uid, record(1).name)
    assert (seen.sight, seen.problem) == (Sight.UNDER_WAY, Reason.PROVIDER_UNREACHABLE)
    stage.zones.wish_hostname(owner(2), "bot.example", None)
    await stage.pass_time(5)
    assert sum(stage.account.calls.values()) == 1
    await stage.pass_time(20)
    assert stage.zones.seen(owner(1).uid, record(1).name).sight is Sight.THERE


@played
async def test_a_success_that_says_enough_closes_the_bucket(stage: Stage) -> None:
    stage.account.faults += [("list_records", "enough")]
    await stage.pass_time(200)
    assert stage.account.calls["list_records"] == 1
    assert stage.allowance.left() == 0


def test_everybody_together_stays_within_the_window() -> None:
    rng = random.Random(SEED)  # an order, not a secret
    now, made = 0.0, list[float]()
    allowance = Allowance(200, clock=lambda: now)
    while now < 4 * WINDOW_SECONDS:
        try:
            allowance.take(rng.choice(list(Urgency)))
        except Transient as error:
            now += rng.choice([error.retry_after_seconds or 0.0, rng.uniform(0, 90)])
        else:
            made.append(now)
    most = max(sum(start <= at < start + WINDOW_SECONDS for at in made) for start in made)
    assert most <= LIMIT, f"seed {SEED}"
    assert len(made) >= 200 * 4 * 5 * 0.8


def test_what_is_urgent_finds_a_call_when_certificates_have_taken_theirs() -> None:
    allowance = Allowance(100, clock=lambda: 0.0)
    for urgency, most in ((Urgency.CERTIFICATE, 90), (Urgency.RECORD, 5), (Urgency.REMOVE, 5)):
        for _ in range(most):
            allowance.take(urgency)
        with pytest.raises(Transient):
            allowance.take(urgency)


def test_calls_of_others_are_counted() -> None:
    now = 0.0
    allowance = Allowance(200, clock=lambda: now)
    allowance.note(200, {"Ratelimit": '"default";r=3;t=120'})
    assert allowance.left() == 3
    allowance.note(200, {"Ratelimit": '"burst";r=90;t=10, "default";r=0;t=120'})
    now = 119.0
    assert allowance.left() == 0
    now = 121.0
    assert allowance.left() > 0


@pytest.mark.parametrize(("said", "seconds"), [("40", 40), ("", 300), ("Sun, 22 Nov 2026 07:00:00 GMT", 300)])
def test_the_provider_says_how_long(said: str, seconds: float) -> None:
    now = 0.0
    allowance = Allowance(200, clock=lambda: now)
    allowance.note(429, {"Retry-After": said})
    with pytest.raises(Transient) as refused:
        allowance.take(Urgency.REMOVE)
    assert refused.value.retry_after_seconds == seconds
    now = seconds + 1.0
    allowance.take(Urgency.REMOVE)


@played
async def test_certificates_wait_for_room_and_not_for_a_closed_bucket(stage: Stage) -> None:
    begun = stage.account.clock()
    for _ in range(190):
        await stage.allowance.room(Urgency.CERTIFICATE)
        stage.allowance.take(Urgency.CERTIFICATE)
    assert 2 < stage.account.clock() - begun < 4  # ten more than were there, at 200 a minute
    stage.allowance.close(60)
    with pytest.raises(NotAsked):
        await stage.allowance.room(Urgency.CERTIFICATE)


@played
async def test_who_asked_nobody_is_told_from_who_was_refused_without_a_reason(stage: Stage) -> None:
    issuer = CloudflareOrigin(stage.calls)
    stage.allowance.close(60)
    with pytest.raises(NotAsked) as closed:
        await issuer.issue("bot.agents.example", b"", delegation=None)
    assert closed.value.wait_seconds == pytest.approx(60)
    assert not stage.account.calls
    await virtual_time.passed(61)
    stage.account.tokens[TOKEN] = EVERYTHING - {SSL}
    while stage.allowance.left() >= 2:
        stage.allowance.take(Urgency.REMOVE)
    with pytest.raises(Transient) as refused:  # and the question why finds no call
        await issuer.revoke("a", "")
    assert not isinstance(refused.value, NotAsked)
    assert stage.account.calls == {"revoke_certificate": 1}


async def _never() -> None:
    raise NotAsked("closed", wait_seconds=50)


async def _fails() -> None:
    raise Unavailable("away")


@pytest.mark.anyio
async def test_patience_grows_with_failures_and_not_with_calls_that_were_not_made() -> None:
    patience = Patience()
    for answer, seconds in ((_never, 50), (_never, 50), (_fails, 2), (_never, 50), (_fails, 4)):
        with pytest.raises(ProviderFailed):
            await patience.asked(answer(), lambda: 0.0, lost=lambda: None)
        assert patience.wait_seconds(0.0) == seconds
