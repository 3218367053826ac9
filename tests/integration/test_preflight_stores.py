"""What `moorage preflight` says of a database and of an object store, each of them real."""

import asyncio
import base64
import secrets
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from dev.postgres import Postgres
from moorage.cli.preflight import stores
from moorage.cli.preflight.report import Finding, Outcome
from tests import store_server
from tests.store_server import VersityGateway

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


def told(findings: list[Finding]) -> dict[str, tuple[Outcome, str]]:
    """Outcome and finding by check."""
    return {item.check: (item.outcome, item.found) for item in findings}


async def test_a_server_that_forgets_commits_is_warned_about(database_url: str) -> None:
    found = told(await stores.database({"MOORAGE_DATABASE_URL": database_url}))
    outcome, words = found["database"]
    assert (outcome, "forgets commits" in words) == (Outcome.WARN, True), "as tests' servers do, to be fast"
    assert found["rights in the database"] == (Outcome.OK, "a login for the platform")
    assert found["clock of the database"] == (Outcome.OK, "agrees with this machine")


async def test_a_login_without_the_platforms_roles_is_refused(database_url: str, postgres: Postgres) -> None:
    password = secrets.token_hex(8)
    name = f"stranger_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    await connection.close()
    address = database_url.split("@", 1)[-1]

    found = await stores.database({"MOORAGE_DATABASE_URL": f"postgresql://{name}:{password}@{address}"})
    assert told(found)["rights in the database"] == (
        Outcome.FAIL,
        "not a member of moorage_app and moorage_verify",
    )
    assert all(password not in f"{item.found}{item.advice}" for item in found)


async def test_an_empty_database_asks_for_a_login_that_may_migrate(postgres: Postgres) -> None:
    name = f"empty_{secrets.token_hex(4)}"
    await asyncio.to_thread(postgres.psql, f"CREATE DATABASE {name}", database="postgres")
    await asyncio.to_thread(postgres.psql, f"CREATE ROLE {name} LOGIN PASSWORD 'p'", database="postgres")
    address = postgres.url(name).split("@", 1)[-1]
    found = told(await stores.database({"MOORAGE_DATABASE_URL": f"postgresql://{name}:p@{address}"}))
    assert found["rights in the database"] == (Outcome.WARN, "may not create schemas and roles")


async def test_a_database_that_does_not_answer_is_a_sentence() -> None:
    (finding,) = await stores.database({"MOORAGE_DATABASE_URL": "postgresql://u:hidden@127.0.0.1:1/none"})
    assert finding.outcome is Outcome.FAIL
    assert "hidden" not in finding.found + finding.advice


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VersityGateway]:
    """A running store."""
    server = VersityGateway(tmp_path_factory.mktemp("preflight-store"))
    server.start()
    yield server
    server.stop()


def environment(server: VersityGateway, folder: Path, secret: str = store_server.SECRET_KEY) -> dict[str, str]:
    """The settings that name it."""
    path = folder / "secret"
    path.write_text(secret)
    return {
        "MOORAGE_STORE_ENDPOINT": server.endpoint,
        "MOORAGE_STORE_REGION": store_server.REGION,
        "MOORAGE_STORE_BUCKET": "preflight",
        "MOORAGE_STORE_ACCESS_KEY": store_server.ACCESS_KEY,
        "MOORAGE_STORE_SECRET_KEY_FILE": str(path),
    }


@pytest.mark.store
async def test_a_store_that_writes_once_is_right_and_left_as_it_was(gateway: VersityGateway, tmp_path: Path) -> None:
    (finding,) = await stores.object_store(environment(gateway, tmp_path))
    assert (finding.outcome, finding.found) == (Outcome.OK, "answers, and writes once")
    assert [path for path in (gateway.folder / "preflight").rglob("*") if path.is_file()] == []


@pytest.mark.store
async def test_a_store_that_refuses_the_key_is_a_sentence(gateway: VersityGateway, tmp_path: Path) -> None:
    (finding,) = await stores.object_store(environment(gateway, tmp_path, secret="canary-of-a-secret"))
    assert finding.outcome is Outcome.FAIL
    assert "canary" not in finding.found + finding.advice


class Forgetful:
    """A store that knows nothing of conditional writes: the last one wins."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def write_once(self, key: str, body: bytes) -> None:
        """Put it, whatever is there."""
        self.objects[key] = body

    async def read(self, key: str) -> bytes | None:
        """What is there."""
        return self.objects.get(key)

    async def delete(self, key: str) -> None:
        """Remove it."""
        self.objects.pop(key, None)


async def test_a_store_that_overwrites_is_refused() -> None:
    store = Forgetful()
    finding = await stores.writes_once(store)  # type: ignore[arg-type] # the part of a store that is asked
    assert (finding.outcome, finding.found) == (Outcome.FAIL, "overwrites what must stay")
    assert store.objects == {}


@pytest.mark.parametrize(
    ("text", "outcome"), [(base64.b64encode(bytes(32)).decode(), Outcome.OK), ("too short", Outcome.FAIL)]
)
async def test_a_root_key_is_tried(tmp_path: Path, text: str, outcome: Outcome) -> None:
    path = tmp_path / "root-key"
    path.write_text(text)
    (finding,) = await stores.root_key({"MOORAGE_ROOT_KEY_FILE": str(path)})
    assert finding.outcome is outcome
    assert text not in finding.found + finding.advice
