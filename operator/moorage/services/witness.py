"""A witness outside the database: it knows how far the ledger was, so that a ledger that went back is noticed.

Every seal is written once under `ledger/seals/`, the last state again and again as `ledger/witness.json`; both carry an
signature of the root key, which the database does not have.
"""

import json
import logging
from typing import Any

from moorage.model import clock
from moorage.model.errors import HistoryInDoubt, Transient
from moorage.model.ledger import Seal
from moorage.providers.ports import ObjectStore
from moorage.services.keyring import Keyring
from moorage.store.lineage import Lineage, LineageNow
from moorage.store.seals import Seals

WITNESS_KEY = "ledger/witness.json"
SEALS_PER_READ = 100
ACTOR = PURPOSE = "witness"

log = logging.getLogger(__name__)

Statement = dict[str, Any]  # what the JSON documents hold; Any: numbers and texts


class Witness:
    """Looks before it is trusted, and is told before it forgets."""

    def __init__(self, *, lineage: Lineage, seals: Seals, store: ObjectStore, keyring: Keyring) -> None:
        self._lineage = lineage
        self._seals = seals
        self._store = store
        self._keyring = keyring

    async def look(self) -> None:
        """Compare the database with what was said last; raises HistoryInDoubt when it went back.

        A store that does not answer says nothing: agents are metered and stopped without it.
        """
        try:
            said = await self._said()
        except Transient as error:
            log.warning("the witness cannot be asked", extra={"why": str(error)})
            return
        why = None if said is None else await self._contradiction(said, await self._lineage.now())
        if why is not None:
            await self._lineage.doubt(reason=why, actor=ACTOR)
            raise HistoryInDoubt(why)

    async def tell(self) -> None:
        """Export the seals nobody outside has yet, then say how far the ledger is."""
        await self.look()
        now, said = await self._lineage.now(), await self._said()
        told = said["seal"] if said is not None else 0
        while exported := await self._seals.after(told, SEALS_PER_READ):
            for seal in exported:
                await self._store.write_once(_seal_key(seal.no), await self._signed(_seal_statement(seal)))
            told = exported[-1].no
        head = await self._seals.head()
        statement = {
            "system_identifier": str(now.system_identifier),
            "timeline": now.timeline,
            "written_bytes": str(now.written_bytes),
            "at": str(now.at),
            "seal": head.no if head else 0,
            "hash": head.hash if head else "",
        }
        await self._store.write(WITNESS_KEY, await self._signed(statement))

    async def _contradiction(self, said: Statement, now: LineageNow) -> str | None:
        """What the witness knows and the database does not; a person's later decision settles it."""
        if now.trusted_at > int(said["at"]):
            return None
        if now.system_identifier != int(said["system_identifier"]):
            return "this is another server than the one that was written down outside of it"
        if now.written_bytes < int(said["written_bytes"]):
            return "the database is behind what was written down outside of it"
        head = await self._seals.after(said["seal"] - 1, 1) if said["seal"] else []
        if said["seal"] and (not head or head[0].hash != said["hash"]):
            return "the database has another seal than the one that was written down outside of it"
        return None

    async def _said(self) -> Statement | None:
        body = await self._store.read(WITNESS_KEY)
        if body is None:
            return None
        said: Statement = json.loads(body)
        signature = str(said.pop("signature", ""))
        if not await self._keyring.is_signed(PURPOSE, _canonical(said), signature):
            # Whoever can write the store could otherwise stop every charge, or hide a restore.
            log.error("the witness is forged, or the root key was changed", extra={"object": WITNESS_KEY})
            return None
        return said

    async def _signed(self, statement: Statement) -> bytes:
        return _canonical(statement | {"signature": await self._keyring.sign(PURPOSE, _canonical(statement))})


def _seal_key(no: int) -> str:
    return f"ledger/seals/{no:012d}.json"


def _seal_statement(seal: Seal) -> Statement:
    return {
        "seal": seal.no,
        "from_xid": str(seal.from_xid),
        "to_xid": str(seal.to_xid),
        "entries": seal.entries,
        "system_entries": seal.system_entries,
        "hash": seal.hash,
        "at": clock.rfc3339(seal.at),
    }


def _canonical(statement: Statement) -> bytes:
    return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
