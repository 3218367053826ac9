"""Run tar and zstd as a pipeline whose every member must end well."""

import contextlib
import fcntl
import io
import os
import subprocess
from collections.abc import Iterator
from typing import IO

PIPE_BYTES = 1 << 20  # a whole segment per wake-up instead of 64 KiB
F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", 1031)
ZSTD_THREADS_MAX = 2

# Programs of the image, with the C locale: file names are bytes to them, and their messages are nobody's.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}

TAR = ["tar", "--file=-", "--numeric-owner", "--xattrs", "--xattrs-include=user.*", "--acls"]
# The names come from our own walk, so that what must be in the archive was counted by somebody else than tar.
PACK = [*TAR, "--create", "--format=posix", "--pax-option=delete=atime,delete=ctime", "--sparse"]
PACK += ["--no-recursion", "--null", "--files-from=-"]
# Without --same-permissions set-id bits stay behind; the umask of zero keeps all others.
UNPACK = [*TAR, "--extract", "--no-same-owner", "--no-same-permissions", "--no-overwrite-dir"]
UNPACK += ["--delay-directory-restore"]
LIST = ["tar", "--file=-", "--numeric-owner", "--list", "--verbose", "--quoting-style=escape", "--full-time"]


def compress() -> list[str]:
    """zstd at its fastest common level; more threads than two only cost memory, tar cannot feed them."""
    threads = min(ZSTD_THREADS_MAX, os.cpu_count() or 1)
    return ["zstd", "-1", f"-T{threads}", "--quiet", "--stdout"]


DECOMPRESS = ["zstd", "--decompress", "--quiet", "--stdout"]


class Pipeline:
    """Programs connected by pipes; its ends are `stdin` of the first and `stdout` of the last."""

    def __init__(self, first: list[str], last: list[str], *, folder: str | None, stdout: int) -> None:
        source = _start(first, folder, subprocess.PIPE, subprocess.PIPE)
        sink = _start(last, folder, source.stdout, stdout)
        assert isinstance(source.stdin, io.FileIO)
        assert isinstance(source.stdout, io.FileIO)
        source.stdout.close()  # ours; the child has its own, and must see the end when its neighbour dies
        self._children = (source, sink)
        self.stdin = source.stdin
        # Where nobody asked for the output this is a closed pipe, and reading it a mistake.
        self.stdout = sink.stdout if isinstance(sink.stdout, io.FileIO) else source.stdout

    def exit_codes(self) -> tuple[int, int]:
        """Wait until both have ended."""
        source, sink = self._children
        return source.wait(), sink.wait()

    def kill(self) -> None:
        """End both."""
        for child in self._children:
            if child.poll() is None:
                child.kill()
        for child in self._children:
            child.wait()
        for pipe in (self.stdin, self.stdout):
            with contextlib.suppress(OSError):
                pipe.close()


@contextlib.contextmanager
def running(
    first: list[str], last: list[str], *, folder: str | None = None, stdout: int = subprocess.PIPE
) -> Iterator[Pipeline]:
    """A pipeline that does not outlive the block."""
    pipeline = Pipeline(first, last, folder=folder, stdout=stdout)
    try:
        yield pipeline
    finally:
        pipeline.kill()


@contextlib.contextmanager
def alone(command: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """One program with a pipe at each end, which does not outlive the block."""
    child = _start(command, None, subprocess.PIPE, subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def write_all(pipe: IO[bytes], data: bytes | bytearray) -> None:
    """Write to an unbuffered pipe, which may take less than it is offered."""
    with memoryview(data) as view:
        written = 0
        while written < len(view):
            written += os.write(pipe.fileno(), view[written:])


def _start(
    command: list[str], folder: str | None, stdin: IO[bytes] | int | None, stdout: int
) -> "subprocess.Popen[bytes]":
    child = subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.DEVNULL,  # it names files; the exit code says enough
        cwd=folder,
        env=ENVIRONMENT,
        umask=0,
        bufsize=0,
    )
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # over the user's pipe limit: slower, not wrong
                fcntl.fcntl(pipe.fileno(), F_SETPIPE_SZ, PIPE_BYTES)
    return child
