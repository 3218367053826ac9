"""Whatever Cloudflare answers, nothing is taken for empty or for done without need, and no secret is told."""

import logging

import pytest

from moorage.model.domain_seen import Sight
from moorage.model.errors import Permanent, Transient, Unavailable
from moorage.model.reasons import Reason
from moorage.providers.cloudflare_origin import CloudflareOrigin
from tests.fakes.cloudflare import records
from tests.fakes.cloudflare.account import DNS, EVERYTHING, TOKEN, ZONE
from tests.simulation import virtual_time
from tests.unit.zones import stage as stages
from tests.unit.zones.stage import Stage, owner, played, record

FAULTS = ("500", "html", "false", "null", "lost")
READS = ("find_zone", "list_records")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", READS)
def test_a_list_that_failed_is_unknown(call: str, fault: str) -> None:
    async def act() -> None:
        async with stages.opened() as stage:
            stage.account.faults += [(call, fault)] * 3
            stage.zones.wish(owner(1), record(1))
            await stage.pass_time(1)
            seen = stage.zones.seen(owner(1).uid, record(1).name)
            assert (seen.sight, seen.problem) == (Sight.UNKNOWN, Reason.PROVIDER_UNREACHABLE)
            assert stage.account.calls["write_records"] == 0
            await stage.pass_time(60)
            assert stage.zones.seen(owner(1).uid, record(1).name).sight is Sight.THERE

    virtual_time.run(act())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_write_that_failed_is_not_done_and_not_doubled(fault: str) -> None:
    async def act() -> None:
        async with stages.opened() as stage:
            stage.account.faults += [("write_records", fault)]
            stage.zones.wish(owner(1), record(1))
            await stage.pass_time(1)
            assert stage.zones.seen(owner(1).uid, record(1).name).sight is Sight.UNDER_WAY
            await stage.pass_time(30)
            assert stage.zones.seen(owner(1).uid, record(1).name).sight is Sight.THERE
            assert len(stage.at(record(1).name)) == 1

    virtual_time.run(act())


@pytest.mark.parametrize(
    ("rights", "reason"),
    [
        (None, Reason.PROVIDER_TOKEN_INVALID),
        (EVERYTHING - {ZONE}, Reason.ZONE_NOT_FOUND),
        (EVERYTHING - {DNS}, Reason.PROVIDER_LACKS_DNS_EDIT),
    ],
    ids=["a token that is none", "no right to see zones", "no right to edit records"],
)
def test_the_right_that_is_missing_is_named(
    rights: frozenset[str] | None, reason: Reason, caplog: pytest.LogCaptureFixture
) -> None:
    async def act() -> None:
        async with stages.opened() as stage:
            stage.account.tokens = {} if rights is None else {TOKEN: rights}
            stage.zones.wish(owner(1), record(1))
            await stage.pass_time(50)
            assert stage.zones.seen(owner(1).uid, record(1).name).problem is reason
            assert sum(stage.account.calls.values()) <= 3
            stage.account.tokens = {"another": EVERYTHING}
            stage.token_file.write_text("another\n")  # it is read again without a restart
            await stage.pass_time(30)
            assert stage.zones.seen(owner(1).uid, record(1).name).sight is Sight.THERE

    with caplog.at_level(logging.DEBUG):
        virtual_time.run(act())
    assert TOKEN not in caplog.text


@played
async def test_a_token_without_the_right_to_sign_refuses_certificates_alone(stage: Stage) -> None:
    stage.account.tokens = {TOKEN: frozenset({DNS, ZONE})}
    stage.zones.wish(owner(1), record(1))
    stage.zones.wish_hostname(owner(2), "bot.example", None)
    await stage.pass_time(5)
    assert stage.zones.seen(owner(1).uid, record(1).name).sight is Sight.THERE
    assert stage.zones.seen_hostname(owner(2).uid, "bot.example").problem is Reason.PROVIDER_LACKS_SSL_EDIT
    with pytest.raises(Permanent) as refused:
        await CloudflareOrigin(stage.calls).issue("a.agents.example", b"", delegation=None)
    assert refused.value.reason is Reason.PROVIDER_LACKS_SSL_EDIT


@pytest.mark.parametrize("text", ["", None], ids=["empty", "absent"])
def test_a_token_that_is_missing_is_told_without_a_call(text: str | None) -> None:
    async def act() -> None:
        async with stages.opened() as stage:
            stage.token_file.unlink() if text is None else stage.token_file.write_text(text)
            stage.zones.wish(owner(1), record(1))
            await stage.pass_time(5)
            assert stage.zones.seen(owner(1).uid, record(1).name).problem is Reason.PROVIDER_TOKEN_INVALID
            assert not stage.account.calls

    virtual_time.run(act())


@played
async def test_pages_are_put_together_and_a_list_that_moves_is_read_again(stage: Stage) -> None:
    for number in range(2500):
        asked = {"name": f"x{number}.agents.example", "type": "A", "content": "198.51.100.7"}
        records.add(stage.account, stage.zone, asked)
    assert len(await stage.provider.records("agents.example")) == 2500
    assert stage.account.calls["list_records"] == 3
    moves = iter(range(2))

    def move() -> None:
        if (number := next(moves, None)) is not None:  # the first record goes, and with it every page begins later
            del stage.zone.records[min(stage.zone.records)]
            assert number is not None

    stage.account.between_pages = move
    assert len(await stage.provider.records("agents.example")) == len(stage.zone.records)
    numbers = iter(range(10**6))

    def move_always() -> None:
        asked = {"name": f"0-{next(numbers)}.agents.example", "type": "A", "content": "198.51.100.7"}
        records.add(stage.account, stage.zone, asked)

    stage.account.between_pages = move_always
    with pytest.raises(Unavailable):
        await stage.provider.records("agents.example")


@played
async def test_a_provider_that_stays_away_makes_what_was_seen_unknown(stage: Stage) -> None:
    stage.zones.wish(owner(1), record(1))
    await stage.pass_time(5)
    stage.account.faults += [("list_records", "500")] * 1000
    await stage.pass_time(1200)
    assert stage.zones.seen(owner(1).uid, record(1).name).sight is Sight.THERE
    await stage.pass_time(1200)
    seen = stage.zones.seen(owner(1).uid, record(1).name)
    assert (seen.sight, seen.problem) == (Sight.UNKNOWN, Reason.PROVIDER_UNREACHABLE)
    assert stage.account.calls["list_records"] < 25


@played
async def test_an_error_that_concerns_all_is_not_tried_one_by_one(stage: Stage) -> None:
    stage.account.faults += [("write_records", "false")] * 3
    for number in range(50):
        stage.zones.wish(owner(number), record(number))
    with pytest.raises(Transient):
        await stage.provider.write("agents.example", [record(number) for number in range(50)], [])
    assert stage.account.calls["write_records"] == 1
