"""Records are written in sets, repaired, and taken away; what is not ours stays as it is."""

import copy
from dataclasses import replace

import pytest

from moorage.model.domain import Issuer
from moorage.model.domain_seen import Sight
from moorage.model.errors import LostLeadership
from moorage.model.reasons import Reason
from moorage.providers.ports import WRITTEN
from moorage.services import zone_plan
from tests.fakes.cloudflare import records
from tests.simulation import virtual_time
from tests.unit.zones import stage as stages
from tests.unit.zones.stage import OFFER, PLATFORM, ZONE, Stage, mark, owner, played, record

ELSEWHERE = {"name": f"d1.{ZONE}", "type": "A", "content": "198.51.100.7"}


@played
async def test_many_wishes_are_few_calls(stage: Stage) -> None:
    for number in range(150):
        stage.zones.wish(owner(number), record(number))
    assert stage.zones.seen(owner(7).uid, record(7).name).sight is Sight.UNKNOWN
    await stage.pass_time(5)
    seen = stage.zones.seen(owner(7).uid, record(7).name)
    (there,) = stage.at(record(7).name)
    assert (seen.sight, seen.id, there["comment"]) == (Sight.THERE, there["id"], mark(7))
    assert len(there["comment"]) <= records.COMMENT_MAX
    assert stage.account.calls == {"find_zone": 1, "list_records": 1, "write_records": 2}
    assert stage.rows.record_ids[owner(7).uid] == there["id"]
    assert stage.rung.count("d7") == 1
    assert [one["content"] for one in stage.at(f"entry.{ZONE}")] == ["192.0.2.1"]


@played
async def test_names_that_the_provider_does_not_serve_lead_here_past_its_proxy(stage: Stage) -> None:
    await stage.pass_time(5)
    assert stage.at(f"direct.{ZONE}") == []
    zones = stage.keeper(replace(OFFER, issuers=(Issuer.CLOUDFLARE, Issuer.ACME)))
    await stage.pass_time(5, zones)
    found = {name: stage.at(f"{name}.{ZONE}")[0] for name in ("entry", "direct")}
    assert {one["content"] for one in found.values()} == {OFFER.target}
    assert {name: one["proxied"] for name, one in found.items()} == {"entry": True, "direct": False}
    assert stage.rung == []


@played
async def test_a_settled_zone_is_listed_every_ten_minutes_and_left_alone(stage: Stage) -> None:
    stage.zones.wish(owner(1), record(1))
    await stage.pass_time(5)
    stage.account.calls.clear()
    stage.rung.clear()
    for _ in range(3):
        stage.zones.wish(owner(1), record(1, record_id=stage.at(record(1).name)[0]["id"]))
        await stage.pass_time(600)
    assert stage.account.calls == {"list_records": 3}
    assert stage.rung == []


@played
async def test_somebody_elses_record_stays_untouched(stage: Stage) -> None:
    theirs = copy.deepcopy(records.add(stage.account, stage.zone, ELSEWHERE))
    stage.zones.wish(owner(1), record(1))
    await stage.pass_time(1300)
    seen = stage.zones.seen(owner(1).uid, record(1).name)
    assert (seen.sight, seen.problem) == (Sight.FOREIGN, Reason.RECORD_CONFLICT)
    assert stage.at(record(1).name) == [theirs]
    stage.zones.unwish(owner(1), record(1).name, None)
    await stage.pass_time(5)
    assert stage.zones.seen(owner(1).uid, record(1).name).sight is Sight.ABSENT
    assert stage.at(record(1).name) == [theirs]


# A record of somebody else's, and whether it is in the way of an address of ours, and of a CNAME.
BESIDE = {
    "A": ("198.51.100.7", True, True),
    "AAAA": ("2001:db8::7", True, True),
    "CNAME": ("elsewhere.example", True, True),
    "HTTPS": ('1 elsewhere.example. alpn="h2"', True, True),
    "NS": ("ns.elsewhere.example", True, True),
    "MX": ("10 mail.elsewhere.example", False, True),
    "TXT": ("v=spf1 -all", False, True),
    "CAA": ('0 issue "elsewhere.example"', False, True),
    "SRV": ("0 0 443 elsewhere.example", False, True),
    "LOC": ("51 30 12.748 N 0 7 39.612 W 0.00", False, True),
}


@pytest.mark.parametrize("target", ["192.0.2.1", "2001:db8::1", "balancer.example"])
def test_what_somebody_else_has_at_a_name_decides_whether_ours_may_stand_there(target: str) -> None:
    virtual_time.run(_stand_beside(target))


async def _stand_beside(target: str) -> None:
    async with stages.opened() as stage:
        theirs = {}
        for number, (kind, (content, _, _)) in enumerate(BESIDE.items()):
            asked = {"name": record(number).name, "type": kind, "content": content}
            # Whatever it says of itself: what we never write is not ours.
            comment = mark(number) if number % 2 and kind not in WRITTEN else "theirs"
            theirs[kind] = copy.deepcopy(records.add(stage.account, stage.zone, {**asked, "comment": comment}))
            stage.zones.wish(owner(number), zone_plan.leads_to(record(number).name, target, proxied=True))
        await stage.pass_time(5)
        for number, (kind, (_, address, alias)) in enumerate(BESIDE.items()):
            foreign = alias if target == "balancer.example" else address
            seen = stage.zones.seen(owner(number).uid, record(number).name)
            assert seen.sight is (Sight.FOREIGN if foreign else Sight.THERE), kind
            assert seen.problem is (Reason.RECORD_CONFLICT if foreign else None), kind
            assert theirs[kind] in stage.at(record(number).name), kind
            assert len(stage.at(record(number).name)) == (1 if foreign else 2), kind
        await stage.pass_time(60)
        assert stage.account.calls["write_records"] == 1, "nothing is tried that is known to be in the way"
        stage.rows.finished = {owner(number).uid: record(number).name for number in range(len(BESIDE))}
        for number in range(len(BESIDE)):
            stage.zones.unwish(owner(number), record(number).name, None)
        await stage.pass_time(1300)  # and again when nobody asks for anything there any more
        for number, kind in enumerate(BESIDE):
            assert stage.at(record(number).name) == [theirs[kind]]


@played
async def test_a_delegation_that_the_list_did_not_show_is_a_conflict_too(stage: Stage) -> None:
    await stage.pass_time(5)
    asked = {"name": record(1).name, "type": "NS", "content": "ns.elsewhere.example", "comment": mark(1)}
    theirs = copy.deepcopy(records.add(stage.account, stage.zone, asked))
    stage.zones.wish(owner(1), record(1))
    await stage.pass_time(5)
    seen = stage.zones.seen(owner(1).uid, record(1).name)
    assert (seen.sight, seen.problem) == (Sight.FOREIGN, Reason.RECORD_CONFLICT)
    assert stage.at(record(1).name) == [theirs]


@played
async def test_a_conflict_that_the_list_did_not_show_is_told_as_well(stage: Stage) -> None:
    await stage.pass_time(5)
    theirs = records.add(stage.account, stage.zone, {**ELSEWHERE, "type": "CNAME", "content": "elsewhere.example"})
    for number in (1, 2, 3, 4):
        stage.zones.wish(owner(number), record(number))
    await stage.pass_time(5)
    assert stage.zones.seen(owner(1).uid, record(1).name).problem is Reason.RECORD_CONFLICT
    assert all(stage.zones.seen(owner(number).uid, record(number).name).sight is Sight.THERE for number in (2, 3, 4))
    assert stage.at(record(1).name) == [theirs]
    del stage.zone.records[theirs["id"]]
    await stage.pass_time(601)
    assert stage.zones.seen(owner(1).uid, record(1).name).sight is Sight.THERE


@played
async def test_an_answer_that_is_lost_is_adopted_and_not_doubled(stage: Stage) -> None:
    stage.account.faults.append(("write_records", "lost"))
    stage.zones.wish(owner(1), record(1))
    await stage.pass_time(10)
    (there,) = stage.at(record(1).name)
    assert stage.zones.seen(owner(1).uid, record(1).name).id == there["id"]
    assert stage.account.calls["write_records"] == 1
    stage.account.faults.append(("write_records", "lost"))
    stage.zones.unwish(owner(1), record(1).name, there["id"])
    await stage.pass_time(10)
    assert stage.zones.seen(owner(1).uid, record(1).name).sight is Sight.ABSENT
    assert stage.rows.record_ids[owner(1).uid] is None


@played
async def test_what_somebody_changed_is_repaired(stage: Stage) -> None:
    stage.zones.wish(owner(1), record(1))
    await stage.pass_time(5)
    (there,) = stage.at(record(1).name)
    there["content"] = "198.51.100.7"
    await stage.pass_time(601)
    assert [one["content"] for one in stage.at(record(1).name)] == ["192.0.2.1"]
    stage.zone.records.clear()
    await stage.pass_time(601)
    assert len(stage.at(record(1).name)) == 1


@played
async def test_another_target_replaces_the_record(stage: Stage) -> None:
    stage.zones.wish(owner(1), record(1))
    await stage.pass_time(5)
    stage.zones.wish(owner(1), record(1, content="192.0.2.9"))
    await stage.pass_time(5)
    assert [one["content"] for one in stage.at(record(1).name)] == ["192.0.2.9"]


@played
async def test_one_bad_record_does_not_hold_up_the_others(stage: Stage) -> None:
    for number in range(64):
        stage.zones.wish(owner(number), record(number, content="" if number == 40 else "192.0.2.1"))
    await stage.pass_time(10)
    seen = {number: stage.zones.seen(owner(number).uid, record(number).name) for number in range(64)}
    assert (seen[40].sight, seen[40].problem) == (Sight.REFUSED, Reason.RECORD_REFUSED)
    assert all(thing.sight is Sight.THERE for number, thing in seen.items() if number != 40)
    assert stage.account.calls["write_records"] <= 15


@played
async def test_a_full_zone_takes_what_fits_and_costs_few_calls(stage: Stage) -> None:
    stage.zone.quota = 5
    for number in range(50):
        stage.zones.wish(owner(number), record(number))
    await stage.pass_time(10)
    assert stage.account.calls["write_records"] == 1
    assert stage.zones.seen(owner(1).uid, record(1).name).problem is Reason.RECORD_REFUSED


@played
async def test_only_what_is_gone_for_certain_is_swept(stage: Stage) -> None:
    for number, platform in ((1, PLATFORM), (2, PLATFORM), (3, "another"), (4, PLATFORM)):
        asked = {"name": f"d{number}.{ZONE}", "type": "A", "content": "192.0.2.1", "comment": mark(number, platform)}
        records.add(stage.account, stage.zone, asked)
    # 2 has no row: in doubt. 3 is another platform's. 4 held another name.
    stage.rows.finished = {owner(1).uid: f"d1.{ZONE}", owner(3).uid: f"d3.{ZONE}", owner(4).uid: f"other.{ZONE}"}
    await stage.pass_time(5)
    assert [bool(stage.at(f"d{number}.{ZONE}")) for number in (1, 2, 3, 4)] == [False, True, True, True]


@played
async def test_a_record_that_is_gone_already_counts_as_deleted(stage: Stage) -> None:
    for number in (1, 2):
        stage.zones.wish(owner(number), record(number))
    await stage.pass_time(5)
    del stage.zone.records[stage.at(record(1).name)[0]["id"]]
    for number in (1, 2):
        stage.zones.unwish(owner(number), record(number).name, None)
    await stage.pass_time(5)
    assert [stage.zones.seen(owner(number).uid, record(number).name).sight for number in (1, 2)] == [Sight.ABSENT] * 2
    assert stage.at(record(2).name) == []


@played
async def test_a_leader_that_was_replaced_writes_nothing(stage: Stage) -> None:
    old = stage.zones
    await stage.pass_time(5)
    stage.rows.epoch += 1
    stage.zones = stage.keeper()
    old.wish(owner(1), record(1))
    stage.account.calls.clear()
    with pytest.raises(LostLeadership):
        await stage.pass_time(5, old)
    assert not stage.account.calls
    stage.zones.wish(owner(1), record(1))
    await stage.pass_time(5)
    assert stage.account.calls["list_records"] == 1  # it looks before it writes
    assert len(stage.at(record(1).name)) == 1


@played
async def test_what_two_leaders_wrote_twice_is_made_one(stage: Stage) -> None:
    for content in ("192.0.2.1", "192.0.2.2"):
        asked = {"name": record(1).name, "type": "A", "content": content, "proxied": True, "comment": mark(1)}
        records.add(stage.account, stage.zone, asked)
    stage.zones.wish(owner(1), record(1))
    await stage.pass_time(5)
    assert [one["content"] for one in stage.at(record(1).name)] == ["192.0.2.1"]
