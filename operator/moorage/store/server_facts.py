"""What a database server is and what its login may do, before there is anything of ours in it."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from moorage.store.connecting import connect_errors
from moorage.store.database import APP_ROLE, VERIFY_ROLE

CONNECT_SECONDS = 10
QUESTION = """
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::int AS version_number,
       current_setting('server_encoding') AS encoding,
       current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on'
           AND current_setting('synchronous_commit') <> 'off' AS keeps_commits,
       clock_timestamp() AS now,
       to_regclass('public.moorage_migrations') IS NOT NULL AS has_schema,
       has_database_privilege(current_database(), 'CREATE') AS may_create,
       (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) AS may_create_roles,
       (SELECT count(*) = 2 AND bool_and(pg_has_role(oid, 'MEMBER')) FROM pg_roles
        WHERE rolname = ANY($1::name[])) AS is_member
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """One server, as one login sees it."""

    version: str
    version_number: int
    encoding: str
    keeps_commits: bool
    """Whether what it has confirmed survives a loss of power."""
    now: datetime
    has_schema: bool
    may_create: bool
    may_create_roles: bool
    is_member: bool
    """Of both roles that the platform's processes take on."""


async def read(url: str) -> ServerFacts:
    """Ask the server at this address; raises Unavailable with a sentence when it does not answer."""
    with connect_errors():
        connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
        try:
            row = await connection.fetchrow(QUESTION, [APP_ROLE, VERIFY_ROLE])
        finally:
            await connection.close()
    assert row is not None
    return ServerFacts(**row)
