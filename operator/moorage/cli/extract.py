"""`moorage snapshot extract`: the way out for a user's data, offline, with the object and its key alone."""

import contextlib
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click
import msgspec

from moorage.model.snapshots import FORMAT_VERSION, ExportedKey, Failure, Totals
from moorage.mover import extract as mover
from moorage.mover.failures import MoverFailure

TELL_SECONDS = 1.0
WRITE_BACK_SECONDS = 0.1
KEY_BYTES = 32
SENTENCES = {
    Failure.OBJECT_DAMAGED: "The object is damaged, or it is not the one this key is for",
    Failure.COUNT_MISMATCH: "The archive does not hold what was counted when it was written",
}


@click.command()
@click.option(
    "--object", "object_file", required=True, metavar="FILE", help="The snapshot's object, as the store keeps it.",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)  # fmt: skip
@click.option(
    "--key", "key_file", required=True, metavar="FILE", help="Its key, from `moorage snapshot key`.",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)  # fmt: skip
@click.option(
    "-o", "--output", metavar="FILE", help="Where to write; without it: standard output.",
    type=click.Path(dir_okay=False, path_type=Path),
)  # fmt: skip
def extract(object_file: Path, key_file: Path, output: Path | None) -> None:
    """Write the files of a snapshot as a plain tar; needs zstd and tar, no platform and no network.

    Every byte is authenticated and every file counted before success is reported. A file named with -o appears only
    then, and never over another. On standard output only exit code 0 says that what was written is whole.
    """
    key = _read_key(key_file)
    if output is not None and output.exists():
        raise click.ClickException(f"{output} exists; name a file that does not.")
    if output is None and sys.stdout.isatty():
        raise click.UsageError("A tar is nothing for a terminal; name a file with -o, or pipe the output on.")
    with object_file.open("rb", buffering=0) as source, _destination(output) as destination:
        totals = _extract(source, key, destination, object_file.stat().st_size)
    click.echo(f"{totals.file_count} entries with {totals.plain_bytes} bytes, all verified.", err=True)


def _extract(source: IO[bytes], key: ExportedKey, destination: IO[bytes], object_bytes: int) -> Totals:
    told = time.monotonic()

    def progress(done: int) -> None:
        nonlocal told
        if time.monotonic() - told >= TELL_SECONDS:
            told = time.monotonic()
            click.echo(f"{done * 100 // max(1, object_bytes)} % of {object_bytes} bytes", err=True)

    try:
        return mover.extract(source, key, destination, progress)
    except MoverFailure as failed:
        raise click.ClickException(f"{SENTENCES[failed.failure]}; nothing of it may be used.") from failed
    except FileNotFoundError as error:
        raise click.ClickException("The programs zstd and tar are needed; install them.") from error
    except OSError as error:
        raise click.ClickException(f"The archive could not be written: {os.strerror(error.errno or 0)}.") from error


def _read_key(file: Path) -> ExportedKey:
    try:
        key = msgspec.json.decode(file.read_bytes(), type=ExportedKey)
    except (OSError, msgspec.MsgspecError) as error:
        raise click.ClickException(f"{file} is no key of a snapshot.") from error
    if len(key.data_key) != KEY_BYTES:
        raise click.ClickException(f"{file} is no key of a snapshot.")
    if key.format != FORMAT_VERSION:
        raise click.ClickException(f"{file} is for the format {key.format}; this program reads {FORMAT_VERSION}.")
    return key


@contextlib.contextmanager
def _destination(output: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a hidden file that gets its name when the block has ended well."""
    if output is None:
        yield sys.stdout.buffer
        return
    hidden = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            with _written_back(file.fileno()):
                yield file
            os.fsync(file.fileno())
        _name(hidden, output)
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {os.strerror(error.errno or 0)}.") from error
    finally:
        hidden.unlink(missing_ok=True)


def _name(hidden: Path, output: Path) -> None:
    try:
        os.link(hidden, output)
    except FileExistsError as error:
        raise click.ClickException(f"{output} appeared meanwhile and is left alone.") from error
    except OSError:  # a file system without hard links, such as that of many USB sticks
        hidden.rename(output)


@contextlib.contextmanager
def _written_back(descriptor: int) -> Iterator[None]:
    """Let the disk write while we decrypt, instead of all at the end."""
    over = threading.Event()
    failures: list[OSError] = []

    def write_back() -> None:
        try:
            while not over.wait(WRITE_BACK_SECONDS):
                os.fdatasync(descriptor)
        except OSError as failure:  # the kernel tells each failure once: the last fsync would not see it
            failures.append(failure)

    writer = threading.Thread(target=write_back, daemon=True)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()
    if failures:
        raise failures[0]
