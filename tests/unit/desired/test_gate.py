"""The gate before an agent, run as the program it is: it opens on a closed network, and only then."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moorage.desired import agent, gate
from moorage.model.offer import NetworkOffer
from tests import factories

DEADLINE_SECONDS = 60
GIVES_UP = "SECONDS < 30"
PATIENCE = "patience=0.2"
# For a test in which there is an answer: a machine that is busy for a moment is no closed network.
PATIENT = "patience=30"


@contextlib.contextmanager
def listener(backlog: int = 16) -> Iterator[socket.socket]:
    """A server that accepts connections."""
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as server:
        yield server


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """The port of a server whose queue is full: a new connection is never answered, as behind a policy that drops."""
    with listener(backlog=0) as server, contextlib.ExitStack() as full:
        port = _port(server)
        for _ in range(4):
            client = full.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        yield port


def refusing() -> int:
    """A port that refuses, as behind a policy that rejects."""
    with listener() as server:
        return _port(server)


@contextlib.contextmanager
def started(
    folder: Path, *, api: int, names: int, seconds: int = DEADLINE_SECONDS, patience: str = PATIENCE
) -> Iterator[subprocess.Popen[bytes]]:
    """The gate, with the API server and the name service on ports of this machine."""
    (folder / "resolv.conf").write_text("search mn-acme.svc.cluster.local\nnameserver 127.0.0.1\noptions ndots:5\n")
    script = gate.SCRIPT.replace("/etc/resolv.conf", str(folder / "resolv.conf"))
    script = script.replace('"$names" 53', f'"$names" {names}').replace(GIVES_UP, f"SECONDS < {seconds}")
    script = script.replace(PATIENCE, patience)
    told = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(api)}
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            ["bash", "-c", script], env={"PATH": os.environ["PATH"], **told}, stderr=said, start_new_session=True
        )
    try:
        yield process
    finally:
        # As the end of a container's first process ends the others: one may still wait for an answer.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert (folder / "said").read_text() == ""


def ends(folder: Path, *, api: int, names: int, **changes: Any) -> int:  # Any: what `started` takes
    """How the gate ends."""
    with started(folder, api=api, names=names, **changes) as process:
        return process.wait(timeout=DEADLINE_SECONDS)


def test_it_opens_where_the_api_server_refuses(tmp_path: Path) -> None:
    with listener() as names:
        assert ends(tmp_path, api=refusing(), names=_port(names)) == 0


def test_it_opens_where_the_api_server_is_silent(tmp_path: Path) -> None:
    with listener() as names, silent() as api:
        assert ends(tmp_path, api=api, names=_port(names)) == 0


def test_it_stays_closed_while_the_api_server_answers_and_opens_afterwards(tmp_path: Path) -> None:
    with (
        listener() as names,
        listener() as api,
        started(tmp_path, api=_port(api), names=_port(names), patience=PATIENT) as process,
    ):
        for _ in range(5):  # it tries again and again
            api.accept()[0].close()
        assert process.poll() is None
        api.close()
        assert process.wait(timeout=DEADLINE_SECONDS) == 0


@pytest.mark.parametrize("heard", [True, False], ids=["the name service answers", "the name service is not there"])
def test_it_gives_up_on_a_network_that_stays_open(tmp_path: Path, heard: bool) -> None:
    with listener() as names, listener(backlog=512) as api:
        place = _port(names) if heard else refusing()
        assert ends(tmp_path, api=_port(api), names=place, seconds=1, patience=PATIENT) == 1


def test_it_waits_long_for_an_answer_where_nothing_says_that_the_network_is_up(tmp_path: Path) -> None:
    with silent() as api:
        assert ends(tmp_path, api=api, names=refusing()) == 0


def test_it_asks_for_nothing_that_the_agent_does_not_have_and_replaces_nothing_that_runs() -> None:
    one, gated = factories.agent(storage={"size": "1Gi"}), factories.platform(network=NetworkOffer(gate=True))
    pod = agent.children(one, volume_generation=1, incarnation=1, platform=gated, with_pod=True)[-1]
    (first,), (main,) = pod["spec"]["initContainers"], pod["spec"]["containers"]
    assert first["resources"] == main["resources"]
    assert first["securityContext"] == main["securityContext"]
    assert [mount["name"] for mount in first["volumeMounts"]] == ["tmp"], "no data, no files"
    assert "env" not in first
    assert agent.pod_hash(one, gated) == agent.pod_hash(one, factories.platform())


def test_the_time_it_takes_to_give_up_is_the_one_that_is_replaced_here() -> None:
    assert GIVES_UP in gate.SCRIPT
    assert PATIENCE in gate.SCRIPT
    assert '"$names" 53' in gate.SCRIPT


def _port(server: socket.socket) -> int:
    port: int = server.getsockname()[1]
    return port
