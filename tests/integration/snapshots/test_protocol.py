"""Who may ask for a data key, and what everybody else hears."""

import json
import ssl
import uuid
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from moorage.model.identity import Identity
from moorage.model.record import AttemptKind, AttemptState
from moorage.model.snapshots import PART_BYTES, PART_URLS_FIRST, PART_URLS_MAX, PARTS_MAX, Failure
from tests.integration.snapshots.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres, pytest.mark.store]

SHA = "ab" * 32


async def call(
    world: World, route: str, message: Any, token: str | None, *, raw: bytes | None = None
) -> tuple[int, dict[str, Any]]:
    """POST to the mover's protocol; status and body."""
    trust = ssl.create_default_context(cadata=world.ca_pem)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as client,
        client.post(
            f"{world.api_url}/internal/v1/mover/{route}",
            data=json.dumps(message) if raw is None else raw,
            headers=headers,
            ssl=trust,
        ) as answer,
    ):
        return answer.status, json.loads(await answer.read())


async def test_the_mover_of_an_attempt_gets_its_key_and_urls_again_and_again(world: World) -> None:
    attempt_id = await world.begin()
    token = world.reviewer.issue(world.identity(attempt_id))
    status, first = await call(world, "session", {"attempt": attempt_id}, token)
    assert status == 200
    assert (first["kind"], first["part_bytes"], len(first["part_urls"])) == ("Snapshot", PART_BYTES, PART_URLS_FIRST)
    assert (first["tenant_uid"], first["agent_uid"]) == (world.tenant_uid, world.agent_uid)
    again = await call(world, "session", {"attempt": attempt_id}, token)
    assert again[1]["data_key"] == first["data_key"]
    status, more = await call(world, "parts", {"attempt": attempt_id, "first": 17, "count": 3}, token)
    assert (status, len(more["part_urls"])) == (200, 3)


def not_the_mover(own: Identity) -> dict[str, Identity]:
    return {
        "another namespace": replace(own, namespace="mn-other"),
        "another account": replace(own, service_account="default"),
        "the pod of another attempt": replace(own, pod_name=f"mover-{uuid.uuid4()}-x7k2p"),
        "a pod that no Job made": replace(own, pod_name=own.pod_name.rsplit("-", 1)[0]),
        "an agent's pod": replace(own, pod_name="bot-1"),
    }


async def test_nobody_but_the_pod_of_the_attempt_is_heard(world: World) -> None:
    attempt_id = await world.begin()
    for case, identity in not_the_mover(world.identity(attempt_id)).items():
        token = world.reviewer.issue(identity)
        for route, message in messages(attempt_id).items():
            status, body = await call(world, route, message, token)
            assert (status, body["code"]) == (403, "NotYourAttempt"), (case, route)
    assert (await world.row(attempt_id)).mover_pod_uid is None


def messages(attempt_id: str) -> dict[str, dict[str, Any]]:
    return {
        "session": {"attempt": attempt_id},
        "parts": {"attempt": attempt_id, "first": 1, "count": 1},
        "report": {"attempt": attempt_id, "failure": "TooLarge"},
    }


async def test_a_second_pod_of_the_same_job_is_refused(world: World) -> None:
    attempt_id = await world.begin()
    first, second = (world.reviewer.issue(world.identity(attempt_id)) for _ in range(2))
    assert (await call(world, "session", {"attempt": attempt_id}, first))[0] == 200
    for route, message in messages(attempt_id).items():
        assert (await call(world, route, message, second))[0] == 403, route


async def test_a_report_without_a_claim_is_refused(world: World) -> None:
    attempt_id = await world.begin()
    token = world.reviewer.issue(world.identity(attempt_id))
    assert (await call(world, "report", messages(attempt_id)["report"], token))[0] == 403


async def test_an_unknown_token_is_refused(world: World) -> None:
    attempt_id = await world.begin()
    for_somebody_else = world.reviewer.issue(world.identity(attempt_id), audience="https://kubernetes.default.svc")
    for token in (None, "", "nonsense", "x" * 20_000, for_somebody_else):
        status, _ = await call(world, "session", {"attempt": attempt_id}, token)
        assert status in (400, 401), token


async def test_an_api_server_that_does_not_answer_makes_nobody_anybody(world: World) -> None:
    attempt_id = await world.begin()
    token = world.reviewer.issue(world.identity(attempt_id))
    world.reviewer.down = True
    status, body = await call(world, "session", {"attempt": attempt_id}, token)
    assert (status, body["code"]) == (503, "TryAgain")


async def test_an_attempt_that_does_not_exist_sounds_like_one_that_is_not_yours(world: World) -> None:
    for unknown in (str(uuid.uuid4()), "nonsense", "", str(uuid.uuid4()).upper(), "'; --"):
        token = world.reviewer.issue(world.identity(unknown))
        status, body = await call(world, "session", {"attempt": unknown}, token)
        assert (status, body["code"]) == (403, "NotYourAttempt")


async def test_an_attempt_that_is_over_hands_out_nothing(world: World) -> None:
    attempt_id = await world.begin()
    token = world.reviewer.issue(world.identity(attempt_id))
    await call(world, "session", {"attempt": attempt_id}, token)
    await world.snapshots.fail(epoch=0, attempt_id=attempt_id, code=Failure.CALLED_OFF)
    for route, message in messages(attempt_id).items():
        assert (await call(world, route, message, token))[0] == 409, route


async def test_an_agent_that_has_moved_on_hands_out_nothing(world: World) -> None:
    attempt_id = await world.begin()
    await world.settle()
    token = world.reviewer.issue(world.identity(attempt_id))
    assert (await call(world, "session", {"attempt": attempt_id}, token))[0] == 409


BAD_BODIES = {
    "not JSON": b"<xml/>",
    "invalid UTF-8": b'{"attempt": "\xff"}',
    "a list": b"[]",
    "an unknown field": b'{"attempt": "a", "surprise": 1}',
    "a wrong type": b'{"attempt": 7}',
    "nothing": b"",
}


async def test_a_body_that_does_not_fit_is_refused_without_an_echo(world: World) -> None:
    attempt_id = await world.begin()
    token = world.reviewer.issue(world.identity(attempt_id))
    for case, body in BAD_BODIES.items():
        status, answer = await call(world, "session", None, token, raw=body)
        assert (status, answer["code"]) == (400, "BodyInvalid"), case
        assert "surprise" not in json.dumps(answer)
    status, answer = await call(world, "session", None, token, raw=b" " * 10_000)
    assert (status, answer["code"]) == (413, "BodyTooLarge")


async def test_part_numbers_out_of_range_are_refused(world: World) -> None:
    attempt_id = await world.begin()
    token = world.reviewer.issue(world.identity(attempt_id))
    for first, count in ((0, 1), (1, 0), (1, PART_URLS_MAX + 1), (PARTS_MAX, 2), (-5, 3)):
        status, _ = await call(world, "parts", {"attempt": attempt_id, "first": first, "count": count}, token)
        assert status == 422, (first, count)


def success(attempt_id: str, **changes: Any) -> dict[str, Any]:
    report = {
        "attempt": attempt_id,
        "parts": [{"number": 1, "etag": '"e"', "sha256": SHA}],
        "sha256": SHA,
        "object_bytes": 100,
        "plain_bytes": 0,
        "file_count": 0,
    }
    return report | changes


async def claimed(world: World, kind: AttemptKind = AttemptKind.SNAPSHOT) -> tuple[str, str]:
    attempt_id = await world.begin(kind)
    token = world.reviewer.issue(world.identity(attempt_id))
    assert (await call(world, "session", {"attempt": attempt_id}, token))[0] == 200
    return attempt_id, token


async def test_a_report_moves_the_attempt_on_and_wakes_the_operator_once(world: World) -> None:
    attempt_id, token = await claimed(world)
    for _ in range(2):  # the answer to the first may have been lost
        assert (await call(world, "report", success(attempt_id), token))[0] == 200
    assert (await world.row(attempt_id)).state is AttemptState.UPLOADED
    woken = await world.admin.fetch("SELECT kind, namespace, name FROM moorage.outbox WHERE reason = 'MoverReported'")
    assert [tuple(row) for row in woken] == [("Agent", "mn-acme", "bot")]
    status, body = await call(world, "report", success(attempt_id, file_count=9), token)
    assert (status, body["code"]) == (409, "AttemptOver")


async def test_a_reported_failure_ends_the_attempt_and_wakes_the_operator(world: World) -> None:
    attempt_id, token = await claimed(world)
    assert (await call(world, "report", {"attempt": attempt_id, "failure": "VolumeChanged"}, token))[0] == 200
    row = await world.row(attempt_id)
    assert (row.state, row.failure) == (AttemptState.FAILED, Failure.VOLUME_CHANGED)
    assert await world.admin.fetchval("SELECT count(*) FROM moorage.outbox WHERE reason = 'MoverReported'") == 1


async def test_a_failure_that_is_not_on_the_list_is_refused(world: World) -> None:
    attempt_id, token = await claimed(world)
    status, _ = await call(world, "report", {"attempt": attempt_id, "failure": "<script>"}, token)
    assert status == 400
    assert (await world.row(attempt_id)).state is AttemptState.STARTED


PART = {"number": 1, "etag": '"e"', "sha256": SHA}
IMPOSSIBLE: dict[str, dict[str, Any]] = {
    "no parts": {"parts": []},
    "a part too many": {"parts": [PART, PART | {"number": 2}]},
    "a part missing": {"object_bytes": PART_BYTES + 1},
    "parts out of order": {"object_bytes": PART_BYTES + 1, "parts": [PART | {"number": 2}, PART]},
    "a negative size": {"plain_bytes": -1},
    "a volume of a negative size": {"disk_bytes": -1},
    "an empty object": {"object_bytes": 0},
    "a hash of another length": {"sha256": "ab"},
    "a hash that is none": {"sha256": "z" * 64},
    "a tag with a line break": {"parts": [PART | {"etag": "a\nb"}]},
    "a number beyond the database": {"file_count": 1 << 63},
}


@pytest.mark.parametrize("changes", list(IMPOSSIBLE.values()), ids=list(IMPOSSIBLE))
async def test_an_impossible_report_fails_the_attempt(world: World, changes: dict[str, Any]) -> None:
    attempt_id, token = await claimed(world)
    assert (await call(world, "report", success(attempt_id, **changes), token))[0] == 200
    row = await world.row(attempt_id)
    assert (row.state, row.failure) == (AttemptState.FAILED, Failure.REPORT_INVALID)


async def test_routes_that_do_not_exist_say_nothing(world: World) -> None:
    trust = ssl.create_default_context(cadata=world.ca_pem)
    async with aiohttp.ClientSession() as client:
        for path, wanted in {"/docs": 404, "/openapi.json": 404, "/%2e%2e/etc/passwd": 404}.items():
            async with client.get(f"{world.api_url}{path}", ssl=trust) as answer:
                assert answer.status == wanted
                assert "passwd" not in await answer.text()
        async with client.get(f"{world.api_url}/internal/v1/mover/session", ssl=trust) as answer:
            assert answer.status == 405


async def test_health_routes_answer(world: World) -> None:
    trust = ssl.create_default_context(cadata=world.ca_pem)
    async with aiohttp.ClientSession() as client:
        for path in ("/livez", "/readyz", "/metrics"):
            async with client.get(f"{world.api_url}{path}", ssl=trust) as answer:
                assert answer.status == 200
        await world.database.close()
        async with client.get(f"{world.api_url}/readyz", ssl=trust) as answer:
            assert answer.status == 503
        async with client.get(f"{world.api_url}/livez", ssl=trust) as answer:
            assert answer.status == 200
