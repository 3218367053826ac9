"""The database and the object store, as the settings in the environment name them."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from moorage import settings as knobs
from moorage.cli.preflight import nodes
from moorage.cli.preflight.report import Finding, fail, ok, warn
from moorage.model.errors import MoorageError
from moorage.providers.ports import ObjectStore
from moorage.services import object_stores, root_keys
from moorage.settings import SettingsError
from moorage.store import server_facts
from moorage.store.server_facts import ServerFacts

POSTGRES_MIN = 16
DATABASE = "MOORAGE_DATABASE_URL"
STORE = "MOORAGE_STORE_"
ROOT_KEY = ("MOORAGE_ROOT_KEY_", "MOORAGE_KMS_")
PROBE_PREFIX = "preflight/"


async def database(environment: Mapping[str, str]) -> list[Finding]:
    """Version, rights, durability and clock of the database; nothing where its address is not given."""
    url = environment.get(DATABASE)
    if not url:
        return [warn("database", "not checked", f"Set {DATABASE} to check it, too.")]
    try:
        before = datetime.now(UTC)
        facts = await server_facts.read(url)
    except MoorageError as error:
        return [fail("database", f"{error}", f"Correct {DATABASE}, or start the server.")]
    off = (facts.now - before).total_seconds()
    # The question itself takes a moment, which is not the clock's fault.
    elapsed = (datetime.now(UTC) - before).total_seconds()
    apart = max(0.0, abs(off) - elapsed)
    told = nodes.skew("clock of the database", apart)
    return [_server(facts), _rights(facts), Finding(told.check, told.outcome, _beside(apart), told.advice)]


def _beside(seconds: float) -> str:
    return f"{seconds:.1f} s beside this machine" if seconds >= 0.1 else "agrees with this machine"


def _server(facts: ServerFacts) -> Finding:
    told = f"PostgreSQL {facts.version}"
    if facts.version_number < POSTGRES_MIN * 10_000:
        return fail("database", told, f"Use PostgreSQL {POSTGRES_MIN} or newer.")
    if facts.encoding != "UTF8":
        return fail("database", f"{told}, encoding {facts.encoding}", "Create the database with the encoding UTF8.")
    if not facts.keeps_commits:
        advice = "Switch fsync, full_page_writes and synchronous_commit on: a loss of power would lose money."
        return warn("database", f"{told}, forgets commits", advice)
    return ok("database", told)


def _rights(facts: ServerFacts) -> Finding:
    if facts.is_member:
        return ok("rights in the database", "a login for the platform")
    if facts.has_schema:
        advice = "GRANT moorage_app, moorage_verify to this login, as docs/install.md shows."
        return fail("rights in the database", "not a member of moorage_app and moorage_verify", advice)
    if facts.may_create and facts.may_create_roles:
        return ok("rights in the database", "may create schemas and roles: a login for migrations")
    advice = "Migrate with a login that may CREATE in the database and has CREATEROLE (database.migrationKey)."
    return warn("rights in the database", "may not create schemas and roles", advice)


async def root_key(environment: Mapping[str, str]) -> list[Finding]:
    """The newest root key opens what it has wrapped; nothing where none is named."""
    if not any(name.startswith(ROOT_KEY) for name in environment):
        return [warn("root key", "not checked", "Set MOORAGE_ROOT_KEY_FILE or MOORAGE_KMS_KEYS to check it, too.")]
    try:
        settings = knobs.load(environment)
        root_keys.check(settings)
        async with root_keys.opened(settings) as roots:
            await roots.probe()
    except (SettingsError, MoorageError) as error:
        return [fail("root key", f"{error}", "See docs/settings.md; without this key nothing sealed can be read.")]
    return [ok("root key", "opens what it has wrapped")]


async def object_store(environment: Mapping[str, str]) -> list[Finding]:
    """The object store is there and lets nobody overwrite; nothing where its address is not given."""
    if not any(name.startswith(STORE) for name in environment):
        return [warn("object store", "not checked", f"Set {STORE}… to check it, too.")]
    try:
        settings = knobs.load(environment)
        knobs.required(settings, *object_stores.required(settings))
        if settings.store_kind != "s3":
            return [ok("object store", f"of the kind {settings.store_kind}, which the API itself keeps")]
        async with object_stores.s3(settings) as store:
            return [await writes_once(store)]
    except SettingsError as error:
        return [fail("object store", f"{error}", "See docs/settings.md.")]
    except MoorageError as error:
        return [fail("object store", f"{error}", f"Correct {STORE}…, or start the store.")]


async def writes_once(store: ObjectStore) -> Finding:
    """Put two different objects under one key: the first must stay, or two movers could overwrite a snapshot."""
    key, first = f"{PROBE_PREFIX}{secrets.token_hex(8)}", secrets.token_bytes(16)
    try:
        await store.write_once(key, first)
        await store.write_once(key, secrets.token_bytes(16))
        kept = await store.read(key)
    finally:
        await store.delete(key)
    if kept is None:
        return fail("object store", "does not find what was just written", "Use a store with read-after-write.")
    if kept != first:
        return fail("object store", "overwrites what must stay", "Use a store that honours If-None-Match on writes.")
    return ok("object store", "answers, and writes once")
