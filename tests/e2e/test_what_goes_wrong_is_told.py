"""What goes wrong with an agent on a real node is told by its conditions and by its last exit."""

import pytest

from tests.e2e.cluster import condition, says
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Helper, Tenant

pytestmark = pytest.mark.cluster

# The kubelet measures what is written beside volumes every few seconds, and evicts after that.
EVICTED_SECONDS_MAX = 120.0
# It is asked every ten seconds from its second minute on, and may miss five answers.
RESTARTED_SECONDS_MAX = 180.0
FALL_SILENT = """
import http.server, time
end = time.monotonic() + 20
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if time.monotonic() < end else 503)
        self.end_headers()
http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""
FILL_TMP = """
import time
with open("/tmp/big", "wb") as file:
    for _ in range(300):
        file.write(bytes(1 << 20))
time.sleep(600)
"""
EAT_MEMORY = "import time\ntime.sleep(2)\nheap = bytearray(2 << 30)\ntime.sleep(600)"


def test_a_crash_loop_keeps_telling_how_it_ends(house: House, tenant: Tenant) -> None:
    helper = _script(tenant.open(PLENTY_MICROS), "print('no anchor'); raise SystemExit(3)")
    helper.until_says("Ready", "CrashLoop")
    agent = helper.until_says("Healthy", "CrashLoop")
    assert condition(agent, "Healthy") == ("False", "CrashLoop")
    assert (agent["status"]["lastExit"]["reason"], agent["status"]["lastExit"]["exitCode"]) == ("Error", 3)
    assert agent["status"]["restarts"] > 0
    told = house.moorage("agent", "explain", f"{tenant.namespace}/helper")
    assert "CrashLoop" in told.stdout
    assert "no anchor" in told.stdout
    assert "no anchor" not in str(agent["status"]), "the agent's own words are in no status"


def test_a_command_that_cannot_be_started_is_told_and_costs_nothing(house: House, tenant: Tenant) -> None:
    helper = tenant.open(PLENTY_MICROS).agent(command=["no-such-program"], http=None, storage=None, env=None)
    agent = helper.until_says("Ready", "CrashLoop")
    assert condition(agent, "Healthy") == ("False", "CrashLoop")
    assert agent["status"]["lastExit"]["reason"] == "ContainerCannotRun"
    assert (
        house.rows(
            "SELECT r.* FROM money.run r JOIN moorage.agent a ON a.uid = r.agent_uid"
            " WHERE a.namespace = $1 AND r.meter = 'Pod'",
            tenant.namespace,
        )
        == []
    )


def test_an_agent_that_stops_answering_is_started_again_and_told_so(tenant: Tenant) -> None:
    helper = tenant.open(PLENTY_MICROS).agent(command=["python3", "-c", FALL_SILENT], storage=None, env=None)
    helper.until_ready()
    helper.until_says("Ready", "PodNotReady")
    agent = helper.until_says("Healthy", "Restarted", seconds=RESTARTED_SECONDS_MAX)
    assert agent["status"]["restarts"] == 1
    assert agent["status"]["lastExit"]["exitCode"] in (137, 143), "stopped by the kubelet"


def test_an_agent_that_needs_more_memory_than_its_size_has_is_told_so(tenant: Tenant) -> None:
    helper = _script(tenant.open(PLENTY_MICROS), EAT_MEMORY)
    agent = helper.until_says("Healthy", "OutOfMemory")
    assert (agent["status"]["lastExit"]["reason"], agent["status"]["lastExit"]["exitCode"]) == ("OOMKilled", 137)


def test_an_agent_that_fills_its_tmp_is_evicted_and_waits_before_its_next_pod(house: House, tenant: Tenant) -> None:
    helper = _script(tenant.open(PLENTY_MICROS), FILL_TMP)
    agent = helper.until_says("Healthy", "EphemeralStorageFull", seconds=EVICTED_SECONDS_MAX)
    assert agent["status"]["lastExit"]["reason"] == "EphemeralStorageFull"
    record = helper.record()
    assert record["endings"] == 1
    assert record["start_at"] is not None
    # The next pod does the same; until it does, what happened lately is still told.
    helper.tenant.house.cluster.until_one(
        "agents", tenant.namespace, "helper", says("Healthy", "EphemeralStorageFull"), "no forgetting"
    )
    house.books_are_right()


def _script(tenant: Tenant, text: str) -> Helper:
    return tenant.agent(command=["python3", "-c", text], http=None, storage=None, env=None)
