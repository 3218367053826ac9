"""Hand out the key of one snapshot, so that its owner can open it without this platform."""

from dataclasses import dataclass

from moorage.model.errors import Transient
from moorage.model.sealing import KeyUnreadable
from moorage.model.snapshots import FORMAT_VERSION, ExportedKey
from moorage.services.keyring import Keyring
from moorage.services.restore_tests import data_key_of
from moorage.store.catalogue import Catalogue
from moorage.store.database import Database


@dataclass(frozen=True, slots=True)
class Export:
    """A key, and which object it opens."""

    key: ExportedKey
    object_key: str


async def export(database: Database, keyring: Keyring, snapshot_id: str, *, actor: str) -> Export | None:
    """The key of a snapshot, which is written down; None when there is no such snapshot, or its key was destroyed."""
    catalogue = Catalogue(database)
    found = await catalogue.find(snapshot_id)
    if found is None:
        return None
    try:
        data_key = await data_key_of(keyring, found)
    except KeyUnreadable as error:
        raise Transient("the key of the snapshot does not open; the database was damaged or restored") from error
    await catalogue.exported(snapshot_id=snapshot_id, actor=actor)
    return Export(
        ExportedKey(format=FORMAT_VERSION, binding=found.binding, data_key=data_key, totals=found.totals),
        found.object_key,
    )
