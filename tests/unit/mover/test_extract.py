"""An object becomes a tar with nothing but its key, and whatever is not whole is refused."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from moorage.cli import main
from moorage.model.snapshots import Binding, ExportedKey, Totals
from moorage.mover import census, stream

KEY = bytes(range(32))
PROGRAM = (sys.executable, "-c", "from moorage.cli import main; main()")
BINDING = Binding("tenant", "agent", "snapshot", "attempt")


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "volume"
    (folder / "notes").mkdir(parents=True)
    (folder / "notes" / "memory").write_bytes(os.urandom(3_000_000))
    (folder / "notes" / "two\nlines").write_text("odd")
    (folder / "link").symlink_to("notes/memory")
    return folder


def archive(volume: Path) -> bytes:
    packed = subprocess.run(
        "tar -cf - --format=posix notes link | zstd -1 -q --stdout",
        shell=True, cwd=volume, check=True, capture_output=True,
    )  # fmt: skip
    return packed.stdout


def sealed(plain: bytes) -> bytes:
    return b"".join(stream.encrypt(io.BytesIO(plain), KEY, stream.associated_data(BINDING)))


class Taken:
    """An object and its key as files, and the command on them."""

    def __init__(self, home: Path, volume: Path) -> None:
        self.home = home
        self.content = sealed(archive(volume))
        self.counted = census.take(str(volume))
        self.object, self.key, self.output = home / "object", home / "snapshot.key", home / "out.tar"
        self.write(self.content)

    def write(self, content: bytes, **changes: object) -> None:
        """The object, and a key whose catalogue entry fits it, changed where asked."""
        self.object.write_bytes(content)
        totals = Totals(
            hashlib.sha256(content).hexdigest(), len(content), self.counted.plain_bytes, self.counted.file_count
        )
        exported = msgspec.to_builtins(ExportedKey(1, BINDING, KEY, totals))
        for name, value in changes.items():
            (exported["totals"] if name in exported["totals"] else exported)[name] = value
        self.key.write_text(json.dumps(exported))

    def extract(self) -> Result:
        """Run it as a person does."""
        arguments = ["--object", str(self.object), "--key", str(self.key), "-o", str(self.output)]
        return CliRunner().invoke(main, ["snapshot", "extract", *arguments])


@pytest.fixture
def taken(tmp_path: Path, volume: Path) -> Taken:
    home = tmp_path / "away"
    home.mkdir()
    return Taken(home, volume)


def nothing_is_left(taken: Taken) -> bool:
    return {path.name for path in taken.home.iterdir()} == {"object", "snapshot.key"}


def test_object_and_key_alone_give_the_files_back(taken: Taken, volume: Path) -> None:
    done = taken.extract()
    assert (done.exit_code, done.stdout) == (0, "")
    assert "4 entries with 3000003 bytes, all verified." in done.stderr
    assert taken.output.stat().st_mode & 0o077 == 0
    with tarfile.open(taken.output) as found:
        memory = found.extractfile("notes/memory")
        assert memory is not None
        assert memory.read() == (volume / "notes" / "memory").read_bytes()
        assert set(found.getnames()) == {"notes", "notes/memory", "notes/two\nlines", "link"}


def test_standard_output_carries_the_same_bytes(taken: Taken) -> None:
    assert taken.extract().exit_code == 0
    arguments = ["snapshot", "extract", "--object", taken.object, "--key", taken.key]
    piped = subprocess.run([*PROGRAM, *arguments], check=True, capture_output=True)
    assert piped.stdout == taken.output.read_bytes()


def test_a_file_that_exists_is_left_alone(taken: Taken) -> None:
    taken.output.write_text("the only copy of something")
    done = taken.extract()
    assert (done.exit_code, "exists" in done.output) == (1, True)
    assert taken.output.read_text() == "the only copy of something"


def test_an_archive_that_holds_less_than_was_counted_is_no_success(taken: Taken) -> None:
    taken.write(taken.content, file_count=5)
    done = taken.extract()
    assert (done.exit_code, "does not hold what was counted" in done.output) == (1, True)
    assert nothing_is_left(taken)


def test_an_object_that_is_not_the_catalogues_is_no_success(taken: Taken) -> None:
    taken.write(taken.content, sha256="ab" * 32)
    assert taken.extract().exit_code == 1
    assert nothing_is_left(taken)


def test_a_torn_archive_inside_a_sound_cipher_is_no_success(taken: Taken, volume: Path) -> None:
    taken.write(sealed(archive(volume)[:-1000]))
    done = taken.extract()
    assert (done.exit_code, "nothing of it may be used" in done.output) == (1, True)
    assert nothing_is_left(taken)


def test_what_is_no_archive_is_no_success(taken: Taken) -> None:
    for plain in (b"", b"no zstd at all", b"\x28\xb5\x2f\xfd" + b"no frame"):
        taken.write(sealed(plain))
        assert taken.extract().exit_code == 1
        assert nothing_is_left(taken)


NO_KEYS = {
    "no JSON": b"-----BEGIN PRIVATE KEY-----",
    "another shape": b'{"key": "AAAA"}',
    "a short key": b"short",
    "another format": b"format",
}


@pytest.mark.parametrize("kind", list(NO_KEYS))
def test_what_is_no_key_is_said_to_be_none(taken: Taken, kind: str) -> None:
    if kind == "a short key":
        taken.write(taken.content, data_key="AAAA")
    elif kind == "another format":
        taken.write(taken.content, format=2)
    else:
        taken.key.write_bytes(NO_KEYS[kind])
    done = taken.extract()
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert nothing_is_left(taken)


def test_a_disk_that_fills_up_is_an_answer(taken: Taken) -> None:
    arguments = ["snapshot", "extract", "--object", str(taken.object), "--key", str(taken.key)]
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [*PROGRAM, *arguments],
            stdout=full, stderr=subprocess.PIPE, check=False, timeout=60,
        )  # fmt: skip
    assert ended.returncode == 1
    assert b"could not be written" in ended.stderr


def test_the_key_is_nowhere_in_what_is_said(taken: Taken) -> None:
    done = taken.extract()
    secret = json.loads(taken.key.read_text())["data_key"]
    assert secret not in done.output
