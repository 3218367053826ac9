"""The probes: a blocked loop is seen, readiness says what is missing, metrics are served."""

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from moorage.probes import HEARTBEAT_SECONDS_MAX, Health, ProbeServer


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


@pytest.fixture
def url(health: Health) -> Iterator[str]:
    registry = CollectorRegistry()
    Counter("moorage_example", "For the test.", registry=registry).inc()
    server = ProbeServer(("127.0.0.1", 0), health, registry)
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def answer(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as got:
            return got.status, got.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_turning_loop_is_alive(url: str) -> None:
    assert answer(f"{url}/livez") == (200, "ok\n")


def test_a_blocked_loop_is_not_alive(url: str, clock: Clock) -> None:
    clock.now += HEARTBEAT_SECONDS_MAX + 1
    code, text = answer(f"{url}/livez")
    assert code == 503
    assert "has not turned for 16 s" in text


def test_readiness_says_what_it_waits_for(url: str, health: Health) -> None:
    health.waiting_for = "the caches"
    assert answer(f"{url}/readyz") == (503, "waiting for the caches\n")
    health.ready()
    assert answer(f"{url}/readyz") == (200, "ok\n")


def test_metrics_are_served_and_nothing_else(url: str) -> None:
    assert "moorage_example_total 1.0" in answer(f"{url}/metrics")[1]
    assert answer(f"{url}/secret")[0] == 404
