"""Host names of tenants' own are asked for once, told apart from others', and given up for certain."""

from moorage.model.domain_seen import Sight
from moorage.model.reasons import Reason
from tests.fakes.cloudflare import hostnames
from tests.unit.zones.stage import Stage, owner, played

NAME = "bot.customer.example"
UID = owner(1).uid


@played
async def test_a_host_name_is_served_soon_and_costs_little(stage: Stage) -> None:
    await stage.pass_time(3)
    begun = stage.account.clock()
    stage.account.calls.clear()
    stage.zones.wish_hostname(owner(1), NAME, None)
    while stage.zones.seen_hostname(UID, NAME).sight is not Sight.THERE:
        await stage.pass_time(0.5)
    assert stage.account.clock() - begun <= 10
    assert stage.zones.seen_hostname_certificate(UID, NAME).sight is Sight.THERE
    assert stage.account.calls == {"list_hostnames": 2, "add_hostname": 1}
    (there,) = stage.zone.hostnames
    assert stage.rows.hostname_ids[UID] == there
    assert "d1" in stage.rung


@played
async def test_a_host_name_that_does_not_lead_here_is_waited_for_with_patience(stage: Stage) -> None:
    stage.account.hostname_status = "pending"
    stage.zones.wish_hostname(owner(1), NAME, None)
    await stage.pass_time(600)
    seen = stage.zones.seen_hostname(UID, NAME)
    assert (seen.sight, seen.problem) == (Sight.UNDER_WAY, Reason.HOSTNAME_NOT_POINTED)
    assert stage.account.calls["list_hostnames"] <= 12
    hostnames.turn(next(iter(stage.zone.hostnames.values())), "active")
    await stage.pass_time(601)
    assert stage.zones.seen_hostname(UID, NAME).sight is Sight.THERE


@played
async def test_one_that_somebody_else_asked_for_is_a_conflict_and_stays(stage: Stage) -> None:
    theirs = hostnames.add(stage.account, stage.zone, {"hostname": NAME})["id"]
    stage.zones.wish_hostname(owner(1), NAME, None)
    await stage.pass_time(5)
    seen = stage.zones.seen_hostname(UID, NAME)
    assert (seen.sight, seen.problem) == (Sight.FOREIGN, Reason.HOSTNAME_CONFLICT)
    stage.zones.unwish_hostname(owner(1), NAME, None)
    await stage.pass_time(5)
    assert stage.zones.seen_hostname(UID, NAME).sight is Sight.ABSENT
    assert list(stage.zone.hostnames) == [theirs]


@played
async def test_a_lost_answer_is_adopted_also_after_a_restart(stage: Stage) -> None:
    stage.account.faults.append(("add_hostname", "lost"))
    stage.zones.wish_hostname(owner(1), NAME, None)
    await stage.pass_time(1)
    assert stage.rows.hostname_ids[UID] == ""  # what was intended is known
    stage.zones = stage.keeper()
    stage.zones.wish_hostname(owner(1), NAME, stage.rows.hostname_ids[UID])
    await stage.pass_time(10)
    assert stage.zones.seen_hostname(UID, NAME).sight is Sight.THERE
    assert stage.account.calls["add_hostname"] == 1
    assert [stage.rows.hostname_ids[UID]] == list(stage.zone.hostnames)


@played
async def test_a_host_name_is_given_up_when_the_provider_has_confirmed_it(stage: Stage) -> None:
    stage.zones.wish_hostname(owner(1), NAME, None)
    await stage.pass_time(5)
    known = stage.rows.hostname_ids[UID]
    stage.account.faults += [("remove_hostname", "500")]
    stage.zones.unwish_hostname(owner(1), NAME, known)
    await stage.pass_time(1)
    assert stage.zones.seen_hostname(UID, NAME).sight is Sight.THERE
    await stage.pass_time(10)
    assert stage.zones.seen_hostname(UID, NAME).sight is Sight.ABSENT
    assert stage.zone.hostnames == {}
    assert stage.rows.hostname_ids[UID] is None


@played
async def test_one_that_is_blocked_or_timed_out_says_so(stage: Stage) -> None:
    stage.account.hostname_status = "blocked"
    stage.zones.wish_hostname(owner(1), NAME, None)
    await stage.pass_time(5)
    assert stage.zones.seen_hostname(UID, NAME).problem is Reason.HOSTNAME_BLOCKED
    (first,) = stage.zone.hostnames
    hostnames.turn(stage.zone.hostnames[first], "moved")
    stage.account.hostname_status = "active"
    await stage.pass_time(1300)
    assert first not in stage.zone.hostnames  # asked for anew
    assert stage.zones.seen_hostname(UID, NAME).sight is Sight.THERE


@played
async def test_without_host_names_nothing_is_asked(stage: Stage) -> None:
    await stage.pass_time(700)
    assert stage.account.calls["list_hostnames"] == 0
