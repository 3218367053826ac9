"""DNS records: what may stand beside what, and sets of changes that succeed or fail as one.

As the provider has it, which lets an MX stand beside a CNAME.
"""

import copy
from typing import Any

from tests.fakes.cloudflare.account import Account, Json, Refusal, Zone

ADDRESSES = {"A", "AAAA"}
COMMENT_MAX = 100
NOW = "2026-11-22T07:00:00.000000Z"


def add(account: Account, zone: Zone, asked: Json, record_id: str = "") -> Json:
    """Make a record, or put one in the place of another."""
    record = {
        "id": record_id or account.new_id(), "name": asked["name"].lower(), "type": asked["type"],
        "content": asked["content"], "proxied": asked.get("proxied", False), "proxiable": True,
        "ttl": asked.get("ttl", 1), "comment": asked.get("comment") or None, "tags": [], "settings": {}, "meta": {},
        "created_on": NOW, "modified_on": NOW,
    }  # fmt: skip
    if asked.get("tags"):
        raise Refusal(9300)  # the small plans have none
    if len(record["comment"] or "") > COMMENT_MAX:
        raise Refusal(9213)
    if not record["name"].endswith(zone.name) or not record["content"]:
        raise Refusal(9005)
    others = [other for key, other in zone.records.items() if key != record_id and other["name"] == record["name"]]
    if any((other["type"], other["content"]) == (record["type"], record["content"]) for other in others):
        raise Refusal(81058)
    if record["type"] == "CNAME" and any(other["type"] in ADDRESSES | {"CNAME"} for other in others):
        raise Refusal(81053)
    if record["type"] in ADDRESSES and any(other["type"] == "CNAME" for other in others):
        raise Refusal(81054)
    if record["type"] != "NS" and any(other["type"] == "NS" for other in others):
        raise Refusal(81056)
    if not record_id and len(zone.records) >= zone.quota:
        raise Refusal(81045)
    zone.records[record["id"]] = record
    return record


def batch(account: Account, zone: Zone, asked: Json) -> Json:
    """Deletions first, then replacements, then new ones; all or none."""
    changes = sum(len(asked.get(kind) or []) for kind in ("deletes", "puts", "posts"))
    if changes > 200:
        raise Refusal(9207)
    before = copy.deepcopy(zone.records)
    try:
        deletes = [_remove(zone, one["id"]) for one in asked.get("deletes") or []]
        puts = [add(account, zone, one, _there(zone, one["id"])) for one in asked.get("puts") or []]
        posts = [add(account, zone, one) for one in asked.get("posts") or []]
    except Refusal:
        zone.records = before
        raise
    return {"deletes": deletes, "patches": [], "puts": puts, "posts": posts}


def listed(zone: Zone, query: Any) -> list[Json]:  # Any: the framework's mapping of a query
    """Those that fit, in the order of their names."""
    name = query.get("name.exact", "")
    found = [record for record in zone.records.values() if not name or record["name"] == name]
    return sorted(found, key=lambda record: (record["name"], record["id"]))


def _remove(zone: Zone, record_id: str) -> Json:
    return zone.records.pop(_there(zone, record_id))


def _there(zone: Zone, record_id: str) -> str:
    if record_id not in zone.records:
        raise Refusal(81044, 404)
    return record_id
