"""Compare catalogue and object store, both ways: what should be there and is not, what is there and nobody's.

A store that does not answer ends the census without a finding: a failed read is no missing object.
"""

import asyncio
import logging
from dataclasses import dataclass

from moorage.model import names
from moorage.providers.ports import ObjectStore
from moorage.store.catalogue import KNOWN_AT_ONCE, Catalogue, Catalogued
from moorage.store.together import together

PREFIX = "s/"
PAGE = 500
HEADS_AT_ONCE = 16
NAMED_MAX = 100  # in a log or an answer; the counts are always whole
NO_UUID = "00000000-0000-0000-0000-000000000000"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """What was compared and found; `lacking` and `unknown` name the first NAMED_MAX."""

    living: int
    lacking_count: int
    unknown_count: int
    lacking: list[str]  # snapshots, by name
    unknown: list[str]  # objects, by key


async def take(catalogue: Catalogue, store: ObjectStore) -> Census:
    """Ask for each living snapshot's object, and list the store. Deletes nothing."""
    living, lacking = await _look_for_objects(catalogue, store)
    unknown = await _look_for_strangers(catalogue, store)
    for name in lacking[:NAMED_MAX]:
        log.error("a snapshot is not in the object store as it should be", extra={"snapshot": name})
    if unknown:
        log.warning("objects that nobody has on record", extra={"count": len(unknown), "keys": unknown[:NAMED_MAX]})
    return Census(
        living=living,
        lacking_count=len(lacking),
        unknown_count=len(unknown),
        lacking=lacking[:NAMED_MAX],
        unknown=unknown[:NAMED_MAX],
    )


async def _look_for_objects(catalogue: Catalogue, store: ObjectStore) -> tuple[int, list[str]]:
    living, lacking, after = 0, list[str](), NO_UUID
    turn = asyncio.Semaphore(HEADS_AT_ONCE)

    async def lacks(snapshot: Catalogued) -> bool:
        async with turn:
            found = await store.head(snapshot.object_key)
        return found is None or found.size != snapshot.totals.object_bytes

    while page := await catalogue.page(after, PAGE):
        after = page[-1].id
        living += len(page)
        answers = await together(lacks(snapshot) for snapshot in page)
        for snapshot, lacking_now in zip(page, answers, strict=True):
            # One that was purged meanwhile is missing by right.
            if lacking_now and await catalogue.find(snapshot.id) is not None:
                lacking.append(names.snapshot_name(snapshot.id))
    return living, lacking


async def _look_for_strangers(catalogue: Catalogue, store: ObjectStore) -> list[str]:
    unknown: list[str] = []
    batch: list[str] = []
    async for found in store.listed(PREFIX):
        batch.append(found.key)
        if len(batch) == KNOWN_AT_ONCE:
            unknown += await catalogue.unknown(batch)
            batch = []
    return unknown + await catalogue.unknown(batch)
