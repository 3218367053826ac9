"""A small platform for snapshot tests: one tenant, one agent, the services, the API, and movers to run."""

import asyncio
import contextlib
import datetime
import ipaddress
import os
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from moorage.model import names
from moorage.model.identity import Identity
from moorage.model.record import AgentRecord, AttemptKind
from moorage.observability import Metrics
from moorage.providers.folder_objects import FolderObjects
from moorage.providers.ports import ObjectStore
from moorage.providers.s3_objects import S3Objects
from moorage.providers.signed_urls import SignedUrls
from moorage.services.keyring import Keyring
from moorage.services.mover_sessions import MoverSessions
from moorage.services.snapshots import Snapshots
from moorage.store import migrate
from moorage.store.agents import Agents
from moorage.store.attempt_row import AttemptRow
from moorage.store.database import Database
from moorage.store.owner_keys import OwnerKeys
from moorage.web.app import create_app
from tests import store_server
from tests.fakes import keys
from tests.fakes.tokens import FakeTokenReviewer
from tests.store_server import VersityGateway

ROOT = Path(__file__).resolve().parents[3]
NAMESPACE, NAME = "mn-acme", "bot"
# Root reads everything; a mover does not. Without capabilities the owner of the files is all that is left of root.
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
EPOCH = 0
ROOT_KEY = bytes(range(32))


@dataclass(frozen=True)
class Ended:
    """How a mover ended."""

    code: int
    stderr: str


@dataclass(frozen=True)
class Found:
    """What is there already, in the database and in the object store."""

    tenant_uid: str
    agent_uid: str
    bucket: str


@dataclass
class World:
    """Everything a test touches."""

    database: Database
    admin: "asyncpg.Connection[asyncpg.Record]"
    store: ObjectStore
    gateway: VersityGateway
    bucket: str
    keyring: Keyring
    snapshots: Snapshots
    sessions: MoverSessions
    reviewer: FakeTokenReviewer
    api_url: str
    ca_pem: str
    scratch: Path
    agent_uid: str
    tenant_uid: str
    confinement: tuple[str, ...] = WITHOUT_RIGHTS
    epoch: int = EPOCH

    async def record(self) -> AgentRecord:
        """The agent as the operator reads it."""
        record = await Agents(self.database).load(self.agent_uid)
        assert record is not None
        return record

    async def begin(self, kind: AttemptKind = AttemptKind.SNAPSHOT) -> str:
        """An attempt whose mover may start."""
        attempt_id = await self.snapshots.begin(
            epoch=self.epoch, record=await self.record(), kind=kind, volume_name="data-bot-1"
        )
        assert attempt_id is not None
        await self.snapshots.start(epoch=self.epoch, attempt_id=attempt_id)
        return attempt_id

    async def settle(self) -> None:
        """Take the agent off its attempt, as the transition to the next state does."""
        await self.admin.execute("UPDATE moorage.agent SET attempt_id = NULL WHERE uid = $1", self.agent_uid)

    async def row(self, attempt_id: str) -> AttemptRow:
        """The attempt as it stands."""
        row = await self.snapshots.attempt(attempt_id)
        assert row is not None
        return row

    def volume(self, name: str = "volume") -> Path:
        """A new, empty volume."""
        folder = self.scratch / name
        folder.mkdir()
        return folder

    def identity(self, attempt_id: str) -> Identity:
        """The pod that the Job of an attempt makes."""
        return Identity(NAMESPACE, names.MOVER_SERVICE_ACCOUNT, f"mover-{attempt_id}-x7k2p", str(uuid.uuid4()))

    @contextlib.contextmanager
    def movers_with_all_rights(self) -> Iterator[None]:
        """Movers that are as much root as the test is."""
        self.confinement = ()
        try:
            yield
        finally:
            self.confinement = WITHOUT_RIGHTS

    async def mover(self, mode: str, attempt_id: str, volume: Path, token: str | None = None) -> Ended:
        """Run a mover to its end, as its pod does."""
        child = await self.start_mover(mode, attempt_id, volume, token)
        _, stderr = await child.communicate()
        assert child.returncode is not None
        return Ended(child.returncode, stderr.decode())

    async def start_mover(
        self, mode: str, attempt_id: str, volume: Path, token: str | None = None
    ) -> asyncio.subprocess.Process:
        """A mover that runs, without our rights."""
        token_file = self.scratch / f"token-{uuid.uuid4()}"
        token_file.write_text(token or self.reviewer.issue(self.identity(attempt_id)))
        return await asyncio.create_subprocess_exec(
            *(*self.confinement, sys.executable, "-m", "moorage", "mover", mode),
            env={
                "PATH": os.defpath,
                "PYTHONPATH": str(ROOT / "operator"),
                "MOORAGE_MOVER_API_URL": self.api_url,
                "MOORAGE_MOVER_API_CA": self.ca_pem,
                "MOORAGE_MOVER_ATTEMPT": attempt_id,
                "MOORAGE_MOVER_TOKEN_FILE": str(token_file),
                "MOORAGE_MOVER_FOLDER": str(volume),
            },
            cwd="/",
            stderr=asyncio.subprocess.PIPE,
        )

    async def snapshot(self, volume: Path) -> AttemptRow:
        """Take a whole snapshot, up to the catalogue."""
        attempt_id = await self.begin()
        ended = await self.mover("capture", attempt_id, volume)
        assert ended.code == 0, ended.stderr
        await self.snapshots.commit(epoch=self.epoch, attempt_id=attempt_id)
        await self.snapshots.verify(epoch=self.epoch, attempt_id=attempt_id)
        row = await self.row(attempt_id)
        await self.settle()
        return row

    async def restore(self, volume: Path) -> AttemptRow:
        """Restore the last snapshot into a volume."""
        attempt_id = await self.begin(AttemptKind.RESTORE)
        await self.mover("restore", attempt_id, volume)
        await self.snapshots.verify(epoch=self.epoch, attempt_id=attempt_id)
        row = await self.row(attempt_id)
        await self.settle()
        return row


@contextlib.asynccontextmanager
async def open_world(
    database_url: str,
    gateway: VersityGateway,
    scratch: Path,
    *,
    folder: Path | None = None,
    found: Found | None = None,
    roots: tuple[bytes, ...] = (ROOT_KEY,),
) -> AsyncIterator[World]:
    """Migrate, make one tenant with one agent, serve the API; with a folder the objects are there, else in S3."""
    await migrate.migrate(database_url)
    bucket = found.bucket if found else f"b{uuid.uuid4().hex[:12]}"
    reviewer = FakeTokenReviewer()
    async with contextlib.AsyncExitStack() as stack:
        database = await Database.connect(database_url)
        stack.push_async_callback(database.close)
        admin = await asyncpg.connect(database_url)
        stack.push_async_callback(admin.close)
        keyring = Keyring(keys.root_keys(*roots), OwnerKeys(database))
        tenant_uid, agent_uid = (found.tenant_uid, found.agent_uid) if found else await make_agent(admin)
        port = store_server.free_port()
        store: ObjectStore
        if folder is None:
            store = await stack.enter_async_context(bucket_of(gateway, bucket))
        else:
            store = await _folder_store(folder, scratch, port, keyring)
        sessions = MoverSessions(database=database, store=store, keyring=keyring)
        folded = store if isinstance(store, FolderObjects) else None
        app = create_app(
            mover_sessions=sessions, token_reviews=reviewer, database=database, metrics=Metrics(), folder=folded
        )
        api_url, ca_pem = await stack.enter_async_context(served(app, scratch, port))
        yield World(
            database=database,
            admin=admin,
            store=store,
            gateway=gateway,
            bucket=bucket,
            keyring=keyring,
            snapshots=Snapshots(database=database, store=store, keyring=keyring),
            sessions=sessions,
            reviewer=reviewer,
            api_url=api_url,
            ca_pem=ca_pem,
            scratch=scratch,
            agent_uid=agent_uid,
            tenant_uid=tenant_uid,
        )


async def _folder_store(folder: Path, scratch: Path, port: int, keyring: Keyring) -> FolderObjects:
    write_certificate(scratch / "api.crt", scratch / "api.key")
    urls = SignedUrls(f"https://127.0.0.1:{port}", await keyring.mac_of("object-url"))
    return await FolderObjects.connect(folder, urls, (scratch / "api.crt").read_text())


def bucket_of(
    gateway: VersityGateway, bucket: str, secret_key: str = store_server.SECRET_KEY
) -> contextlib.AbstractAsyncContextManager[S3Objects]:
    """A client of one bucket on the server."""
    return S3Objects.connect(
        endpoint=gateway.endpoint,
        region=store_server.REGION,
        bucket=bucket,
        access_key=store_server.ACCESS_KEY,
        secret_key=secret_key,
    )


async def make_agent(admin: "asyncpg.Connection[asyncpg.Record]") -> tuple[str, str]:
    """One tenant with a wallet and an agent."""
    tenant_uid, agent_uid = str(uuid.uuid4()), str(uuid.uuid4())
    wallet_id = await admin.fetchval(
        "INSERT INTO money.wallet (name, as_of, standing) VALUES ('acme', 0, 'Funded') RETURNING id"
    )
    await admin.execute(
        "INSERT INTO moorage.tenant (uid, name, core_namespace, wallet_id) VALUES ($1, 'acme', $2, $3)",
        *(tenant_uid, NAMESPACE, wallet_id),
    )
    await admin.execute(
        "INSERT INTO moorage.agent (uid, tenant_uid, wallet_id, namespace, name, size, state, has_storage)"
        " VALUES ($1, $2, $3, $4, $5, 'small', 'Snapshotting', true)",
        *(agent_uid, tenant_uid, wallet_id, NAMESPACE, NAME),
    )
    return tenant_uid, agent_uid


@contextlib.asynccontextmanager
async def served(app: object, folder: Path, port: int = 0) -> AsyncIterator[tuple[str, str]]:
    """The application over TLS on a port of the loopback; yields its URL and the certificate to trust."""
    certificate, key = folder / "api.crt", folder / "api.key"
    if not certificate.exists():
        write_certificate(certificate, key)
    listener = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(
        uvicorn.Config(
            app,  # type: ignore[arg-type]  # an ASGI application
            log_config=None,
            access_log=False,
            lifespan="off",
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
    )
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]  # the test's, not its
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 - the server offers no event
        await asyncio.sleep(0.005)
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", certificate.read_text()
    finally:
        server.should_exit = True
        server.force_exit = True
        await serving
        listener.close()


def write_certificate(certificate: Path, key: Path) -> None:
    """A self-signed certificate for the loopback address."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "moorage test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
