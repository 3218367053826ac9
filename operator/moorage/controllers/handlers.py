"""The trigger map: every kopf registration on one page. A handler only decodes, caches and rings the bell."""

import logging
from collections.abc import Callable
from typing import Any

import kopf
import msgspec

from moorage.controllers.objects import Objects
from moorage.model.names import GROUP, VERSION, Key

log = logging.getLogger(__name__)

# Agents ring through a reflector (agent_bell.py): kopf costs a millisecond per event, and they have the most.
PLURALS = ("wallets", "tenantnamespaces", "domains")


def register(registry: kopf.OperatorRegistry, objects: Objects, ring: Callable[[Key, bool], None]) -> None:
    """Watch all kinds but Agents. `ring(key, urgent)` must only queue."""

    async def rang(event: Any, **_: Any) -> None:  # async, or kopf would run it in a thread
        manifest = event["object"]
        if event["type"] == "DELETED":
            ring(objects.drop(manifest), True)
            return
        try:
            key, news = objects.put(manifest)
        except msgspec.ValidationError as error:
            # Only an object stored under an older schema can get here; the CRD refuses the rest at the door.
            log.warning(
                "object does not fit its schema", extra={"object": manifest["metadata"]["name"], "why": str(error)}
            )
            return
        if news:
            ring(key, "deletionTimestamp" in manifest["metadata"])

    for plural in PLURALS:
        kopf.on.event(GROUP, VERSION, plural, registry=registry, id=f"ring-{plural}")(rang)
