"""cert-manager's Certificates: made as wished, and looked at."""

from collections.abc import Mapping
from typing import Any

import msgspec

from moorage.kube import failures, kinds, ownership
from moorage.kube.client import Client
from moorage.kube.covers import covers
from moorage.model.domain_seen import Sight, Thing
from moorage.model.reasons import Reason

Manifest = Mapping[str, Any]

# Without the API: nobody here makes certificates of this kind.
NOBODY = Thing(sight=Sight.REFUSED, problem=Reason.ISSUER_UNKNOWN)
NO_RIGHT = Thing(sight=Sight.REFUSED, problem=Reason.RIGHTS_MISSING)
REFUSED = Thing(sight=Sight.REFUSED, problem=Reason.CERTIFICATE_REFUSED)


async def keep(client: Client, wanted: Manifest) -> Thing:
    """Make the Certificate be as wanted, and say how it stands.

    Raises Permanent(NAME_TAKEN) when the tenant has one of this name.
    """
    path = kinds.path_of(wanted)
    try:
        raw = await client.read(path)
        live = None if raw is None else msgspec.json.decode(raw)
        if live is not None:
            ownership.claim(live, wanted)
        if live is None or not covers(live, wanted):
            live = msgspec.json.decode(await client.apply(path, wanted))
    except failures.Missing:
        return NOBODY
    except failures.Forbidden:
        return NO_RIGHT
    return seen(live)


async def remove(client: Client, namespace: str, name: str) -> bool:
    """Ask for its end; True when it is gone."""
    path = kinds.object_path(kinds.CERTIFICATE, namespace, name)
    try:
        raw = await client.read(path)
    except failures.Forbidden:
        return True  # it was never made
    return raw is None or not await client.delete(path, uid=msgspec.json.decode(raw)["metadata"]["uid"])


def seen(live: Manifest) -> Thing:
    """How a Certificate stands, by its own conditions; what failed is tried again by cert-manager."""
    status = live.get("status") or {}
    told = {item["type"]: item["status"] for item in status.get("conditions") or ()}
    if told.get("Ready") == "True":
        return Thing(sight=Sight.THERE)
    return REFUSED if status.get("lastFailureTime") else Thing(sight=Sight.UNDER_WAY)
