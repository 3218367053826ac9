"""Twelve ways to put something else in a snapshot's place, against everything of ours that reads one.

In each the catalogue lies along: it shows the size and the hash of the wrong object, so that the cipher alone decides.
"""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from moorage.cli import main
from moorage.model.record import AttemptState
from moorage.model.snapshots import Binding, ExportedKey, Failure
from moorage.mover import stream
from moorage.services.key_export import export
from moorage.services.restore_tests import RestoreTests
from moorage.services.scratch import Scratch
from moorage.store.catalogue import Catalogue
from tests.integration.snapshots.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres, pytest.mark.store]

MIB = 1 << 20


@dataclass(frozen=True)
class Stolen:
    """What whoever tampers may have: the object, the archive inside it, and its keys."""

    content: bytes
    archive: bytes
    key: ExportedKey
    older: bytes  # an earlier snapshot of the same agent, as it was written

    def sealed_for(self, **other: str) -> bytes:
        """The archive under the very key of the snapshot, but bound to somebody else."""
        return self.sealed(self.key.data_key, msgspec.structs.replace(self.key.binding, **other))

    def sealed(self, data_key: bytes, binding: Binding) -> bytes:
        """The archive under a key and a binding."""
        return b"".join(stream.encrypt(io.BytesIO(self.archive), data_key, stream.associated_data(binding)))

    def segments(self) -> list[bytes]:
        """The object as it is encrypted: MiB by MiB."""
        return [self.content[start : start + MIB] for start in range(0, len(self.content), MIB)]


def flipped(content: bytes, position: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1
    return bytes(changed)


def swapped(stolen: Stolen) -> bytes:
    first, second, third, *rest = stolen.segments()
    return b"".join([first, third, second, *rest])


OTHER = "00000000-0000-4000-8000-000000000000"
CLASSES: dict[str, Callable[[Stolen], bytes]] = {
    "the header is changed": lambda stolen: flipped(stolen.content, 0),
    "the salt is changed": lambda stolen: flipped(stolen.content, 5),
    "a bit of a segment is flipped": lambda stolen: flipped(stolen.content, MIB + 1000),
    "two segments are swapped": swapped,
    "the object ends at a segment's end": lambda stolen: b"".join(stolen.segments()[:2]),
    "the object ends inside a segment": lambda stolen: stolen.content[:-100],
    "something is appended": lambda stolen: stolen.content + stolen.segments()[1],
    "it is another tenant's": lambda stolen: stolen.sealed_for(tenant_uid=OTHER),
    "it is another agent's": lambda stolen: stolen.sealed_for(agent_uid=OTHER),
    "it is an older snapshot of the agent": lambda stolen: stolen.older,
    "it is another attempt's": lambda stolen: stolen.sealed_for(written_by=OTHER),
    "it is under another key": lambda stolen: stolen.sealed(bytes(32), stolen.key.binding),
}


def test_there_are_twelve_classes() -> None:
    assert len(CLASSES) == 12


async def steal(world: World) -> tuple[Stolen, Path]:
    """Two snapshots of one agent; the second is the one to tamper with."""
    volume = world.volume()
    (volume / "memory").write_bytes(bytes(range(256)) * 12_000)
    (volume / "random").write_bytes(hashlib.shake_256(b"seed").digest(3 * MIB))
    first, second = [await world.snapshot(volume) for _ in range(2)]
    exported = await export(world.database, world.keyring, second.snapshot_id, actor="test")
    assert exported is not None
    older = await world.store.read(first.object_key)
    content = await world.store.read(second.object_key)
    assert older is not None
    assert content is not None
    plain = stream.decrypt(io.BytesIO(content), exported.key.data_key, stream.associated_data(exported.key.binding))
    stored = next(path for path in world.gateway.objects(world.bucket) if path.read_bytes() == content)
    return Stolen(content, b"".join(plain), exported.key, older), stored


async def put_in_place(world: World, stolen: Stolen, stored: Path, content: bytes) -> ExportedKey:
    """Object and catalogue as the tamperer leaves them; the key as it would be exported now."""
    stored.write_bytes(content)  # noqa: ASYNC240 - nothing else waits
    digest = hashlib.sha256(content)
    await world.admin.execute(
        "UPDATE moorage.snapshot SET sha256 = $2, object_bytes = $3 WHERE id = $1",
        *(stolen.key.binding.snapshot_id, digest.digest(), len(content)),
    )
    totals = msgspec.structs.replace(stolen.key.totals, sha256=digest.hexdigest(), object_bytes=len(content))
    return msgspec.structs.replace(stolen.key, totals=totals)


def extracted(home: Path, key: ExportedKey, content: bytes) -> tuple[int, list[str]]:
    """Exit code of `moorage snapshot extract`, and which files it has left."""
    (home / "object").write_bytes(content)
    (home / "key").write_bytes(msgspec.json.encode(key))
    arguments = ["--object", str(home / "object"), "--key", str(home / "key"), "-o", str(home / "out")]
    done = CliRunner().invoke(main, ["snapshot", "extract", *arguments])
    return done.exit_code, sorted(path.name for path in home.iterdir())


@pytest.mark.parametrize("tamper", list(CLASSES.values()), ids=list(CLASSES))
async def test_nobody_reads_a_snapshot_when(world: World, tmp_path: Path, tamper: Callable[[Stolen], bytes]) -> None:
    stolen, stored = await steal(world)
    content = tamper(stolen)
    assert content != stolen.content
    key = await put_in_place(world, stolen, stored, content)
    restored = await world.restore(world.volume("restored"))
    assert (restored.state, restored.failure) == (AttemptState.FAILED, Failure.OBJECT_DAMAGED)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    tests = RestoreTests(Catalogue(world.database), world.store, world.keyring, Scratch(scratch, 1 << 30))
    wanted = await Catalogue(world.database).find(stolen.key.binding.snapshot_id)
    assert wanted is not None
    tested = await tests.test(wanted)
    assert tested is not None
    assert tested.failure is Failure.OBJECT_DAMAGED
    assert list(scratch.iterdir()) == []
    assert extracted(scratch, key, content) == (1, ["key", "object"])


async def test_everybody_reads_the_snapshot_when_nothing_was_changed(world: World, tmp_path: Path) -> None:
    stolen, stored = await steal(world)
    resealed = stolen.sealed(stolen.key.data_key, stolen.key.binding)  # other bytes, the same right to be there
    assert resealed != stolen.content
    key = await put_in_place(world, stolen, stored, resealed)
    restored = await world.restore(world.volume("restored"))
    assert restored.state is AttemptState.VERIFIED, restored.failure
    assert extracted(tmp_path, key, resealed) == (0, ["key", "object", "out"])
