"""An agent is asked to bring its data in order before it is stopped, and stopped whatever it answers, or does not."""

import json
from typing import Any

import pytest

from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Helper, Tenant

pytestmark = pytest.mark.cluster

# Writes down who asked, and then answers, hangs, or sends the asker to the API server.
SERVER = """
import http.server, os, pathlib, time
asked = pathlib.Path("/data/asked")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path in ("/answer", "/hang", "/away"):
            with asked.open("a") as file:
                file.write(self.path)
                file.flush()
                os.fsync(file.fileno())
        if self.path == "/hang":
            time.sleep(3600)
        self.send_response(302 if self.path == "/away" else 200)
        self.send_header("Location", "https://kubernetes.default.svc/")
        self.end_headers()
        self.wfile.write(b'{"asked": "%s"}' % (asked.read_bytes() if asked.exists() else b""))
    do_POST = do_GET
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
# Ten seconds of every stop, one for the quiesce, two that the kubelet leaves to whoever used up all, then the snapshot:
# far less than the hour for which an answer is kept back, however busy the machine is.
STOPPED_SECONDS_MAX = 150.0


@pytest.mark.parametrize("path", ["/answer", "/hang", "/away"])
def test_an_agent_that_does_not_answer_before_a_stop_is_stopped_all_the_same(
    house: House, tenant: Tenant, path: str
) -> None:
    helper = tenant.open(PLENTY_MICROS).agent(
        command=["python3", "-c", SERVER], quiesce={"httpPath": path, "timeoutSeconds": 1}
    )
    helper.until_ready()
    assert said(helper) == ""
    helper.patch(desiredState="Suspended")
    helper.until_suspended(seconds=STOPPED_SECONDS_MAX)
    helper.patch(desiredState="Running")
    helper.until_ready()
    assert said(helper) == path, "asked once, and what it wrote then is in its data"
    house.books_are_right()


def said(helper: Helper) -> Any:
    """What the agent has on its volume."""
    path = f"/api/v1/namespaces/{helper.tenant.namespace}/services/agent-{helper.name}:8080/proxy/read"
    helper.until_served()
    status, answer = helper.tenant.house.cluster.post(path, {})
    assert status == 200, answer
    return (json.loads(answer) if isinstance(answer, str) else answer)["asked"]
