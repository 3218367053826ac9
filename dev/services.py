"""What the platform stands on: a PostgreSQL server and an S3 server, our own or the user's."""

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dev import netns, processes, progress, secret_files, toolchain
from dev.layout import Layout
from dev.postgres import DATABASE, Postgres, PostgresFailed
from dev.trouble import Trouble

DATABASE_VARIABLE = "MOORAGE_DATABASE_URL"
STORE_PREFIX = "MOORAGE_STORE_"
STORE = "versitygw"
STORE_ACCESS_KEY = "moorage"
POSTGRES_PORT, STORE_PORT, API_PORT, PROBE_PORT = 5432, 9000, 8443, 8081
# Reserved for documentation: nothing is sent there, it only asks the kernel which address would be used.
NOWHERE = ("192.0.2.1", 9)


@dataclass(frozen=True)
class Places:
    """Where the platform's parts listen: on our own node, or on the host beside a cluster that is not ours."""

    pods_see: str
    """The address under which pods reach the services."""
    inside: bool
    """Whether the services run on the node's own network."""
    postgres: int
    store: int
    api: int
    probe: int


def places(layout: Layout) -> Places:
    """Where everything listens."""
    if not layout.external:
        return Places(layout.node_ip, True, POSTGRES_PORT, STORE_PORT, API_PORT, PROBE_PORT)
    ports = (layout.port(name) for name in ("postgres", "s3", "api", "probe"))
    return Places(os.environ.get("MOORAGE_DEV_HOST") or _host_address(), False, *ports)


def start(layout: Layout) -> None:
    """Start the servers the user does not bring along."""
    own_store = not _brings_store()
    if brought_database_url(layout) and not own_store:
        return
    with progress.step("start PostgreSQL and the object store"):
        if not brought_database_url(layout):
            with _sentences():
                _postgres(layout).start()
        if own_store:
            _start_store(layout)


def stop(layout: Layout) -> None:
    """Stop our own servers; what does not run is no matter."""
    if not layout.run.exists():
        return
    processes.stop(layout, STORE)
    stop_database(layout)


def stop_database(layout: Layout) -> None:
    """Stop PostgreSQL alone."""
    with _sentences():
        _postgres(layout).stop()


def status(layout: Layout) -> list[str]:
    """One line about the database and one about the object store."""
    place = places(layout)
    if brought_database_url(layout):
        database = "yours (MOORAGE_DATABASE_URL)"
    else:
        with _sentences():
            runs = _postgres(layout).running()
        database = f"{'runs' if runs else 'does not run'}, 127.0.0.1:{layout.port('postgres')}"
    if _brings_store():
        store = os.environ[f"{STORE_PREFIX}ENDPOINT"]
    else:
        store = f"{'runs' if processes.alive(layout, STORE) else 'does not run'}, {place.pods_see}:{place.store}"
    return [f"database   PostgreSQL {database}", f"snapshots  S3 store {store}"]


def database_url(layout: Layout, *, on_host: bool) -> str:
    """The database's address for a process on the host, or for one of the platform."""
    brought = brought_database_url(layout)
    if brought:
        return brought
    with _sentences():
        url = _postgres(layout).url()
    return url.replace(f":{POSTGRES_PORT}/", f":{layout.port('postgres')}/") if on_host else url


def brought_database_url(layout: Layout) -> str:
    """The address of the user's own database server; empty when ours is used."""
    given = os.environ.get(DATABASE_VARIABLE, "")
    # `eval "$(make -s env)"` exports our own address; the next `up` in that shell must not take it for the user's.
    ours = f"@127.0.0.1:{layout.port('postgres')}/{DATABASE}"
    return "" if given.endswith(ours) else given


def store_settings(layout: Layout) -> Mapping[str, str]:
    """The platform's settings for the object store."""
    if _brings_store():
        return {name: value for name, value in os.environ.items() if name.startswith(STORE_PREFIX)}
    place, secret = places(layout), layout.run / "store" / "secret-key"
    secret_files.password(secret)
    return {
        f"{STORE_PREFIX}ENDPOINT": f"http://{place.pods_see}:{place.store}",
        f"{STORE_PREFIX}REGION": "us-east-1",
        f"{STORE_PREFIX}BUCKET": "moorage-snapshots",
        f"{STORE_PREFIX}ACCESS_KEY": STORE_ACCESS_KEY,
        f"{STORE_PREFIX}SECRET_KEY_FILE": str(secret),
    }


def _brings_store() -> bool:
    return bool(os.environ.get(f"{STORE_PREFIX}ENDPOINT"))


def _postgres(layout: Layout) -> Postgres:
    place = places(layout)
    # The first address is the one in its URL. The host's relay comes in through the second.
    listen = f"127.0.0.1,{layout.node_ip}" if place.inside else "127.0.0.1"
    prefix = processes.enter(layout) if place.inside else []
    return Postgres(layout.run / "postgres", listen=listen, port=place.postgres, durable=True, prefix=prefix)


def _start_store(layout: Layout) -> None:
    toolchain.ensure(layout, STORE)
    place, folder = places(layout), layout.run / "store"
    secret = secret_files.password(folder / "secret-key")
    objects = folder / "objects"
    objects.mkdir(parents=True, exist_ok=True, mode=0o700)
    # In the environment, not on the command line, which every user of the machine can read.
    environment = {"ROOT_ACCESS_KEY": STORE_ACCESS_KEY, "ROOT_SECRET_KEY": secret}
    argv = [str(layout.bin / STORE), "--quiet", f"--port={place.pods_see}:{place.store}", "posix", str(objects)]
    processes.start(layout, STORE, argv, inside=place.inside, env=environment)
    processes.wait(
        layout, STORE, lambda: answers(layout, place.store), seconds=30, what="the object store's first answer"
    )


def answers(layout: Layout, port: int, host: str = "") -> bool:
    """Whether somebody accepts connections where the platform's parts listen."""
    place = places(layout)
    try:
        if place.inside:
            netns.connect(layout, host or place.pods_see, port).close()
        else:
            socket.create_connection((host or place.pods_see, port), timeout=2).close()
    except OSError:
        return False
    return True


def _host_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(NOWHERE)
        except OSError as error:
            raise Trouble(
                "Set MOORAGE_DEV_HOST to an address of this machine that the cluster's pods reach."
            ) from error
        return str(probe.getsockname()[0])


@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except PostgresFailed as failure:
        raise Trouble(f"PostgreSQL: {failure}") from failure
