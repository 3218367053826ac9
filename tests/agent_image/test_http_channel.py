"""The HTTP channel: probes, answers, and a clear refusal for everything else."""

import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.agent_image.running import Chatbot, chatbot, start


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chatbot]:
    """One chatbot for every request that changes nothing."""
    with chatbot(tmp_path_factory.mktemp("data"), memory_retention="Days") as running:
        yield running


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_answer_200_when_it_runs(bot: Chatbot, path: str) -> None:
    assert bot.request("GET", path)[0] == 200


def test_echo_repeats_what_it_hears(bot: Chatbot) -> None:
    assert bot.chat("Grüße, 🚢!")["answer"] == "Grüße, 🚢!"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(b"", "JSON", id="nothing at all"),
        pytest.param(b"text=hello", "JSON", id="a form"),
        pytest.param(b"\xff\xfe\x00garbage", "JSON", id="no text at all"),
        pytest.param(b"[" * 60_000, "nested", id="nested without end"),
        pytest.param(b'["hello"]', "object", id="a list"),
        pytest.param(b"{}", "text", id="no text"),
        pytest.param(b'{"text": 7}', "text", id="a number for a text"),
        pytest.param(b'{"text": "  "}', "text", id="an empty text"),
        pytest.param(json.dumps({"text": "x" * 8193}).encode(), "8192", id="a text that is too long"),
        pytest.param(b'{"text": "x", "conversation": ""}', "conversation", id="a conversation without a name"),
        pytest.param(b'{"text": "x", "conversation": {}}', "conversation", id="a conversation that is an object"),
        pytest.param(b'{"text": "x", "model": "other"}', "object", id="a field that does not exist"),
        pytest.param(rb'{"text": "\ud800"}', "surrogate", id="half a character"),
    ],
)
def test_garbage_is_refused_with_a_sentence(bot: Chatbot, body: bytes, sentence: str) -> None:
    status, answer = bot.request("POST", "/chat", body)
    assert status == 400
    assert sentence in answer["error"]


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        pytest.param(b"POST /chat HTTP/1.1\r\n\r\n", b"411", id="no length"),
        pytest.param(b"POST /chat HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"411", id="a negative length"),
        pytest.param(b"POST /chat HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413", id="a huge length"),
        pytest.param(b"POST /chat HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400", id="a broken chunk"),
        pytest.param(
            b"POST /chat HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", b"400", id="a lying chunk"
        ),
        pytest.param(
            b"POST /chat HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", b"413", id="a huge chunk"
        ),
        pytest.param(b"POST /elsewhere HTTP/1.1\r\nContent-Length: 0\r\n\r\n", b"404", id="an unknown path"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", b"404", id="an unknown page"),
        pytest.param(b"DELETE /chat HTTP/1.1\r\n\r\n", b"501", id="another method"),
        pytest.param(b"<script>alert(1)</script> / HTTP/1.1\r\n\r\n", b"501", id="no request at all"),
    ],
)
def test_a_request_out_of_form_is_refused_in_json(bot: Chatbot, request_head: bytes, status: bytes) -> None:
    head, _, body = bot.raw(request_head).partition(b"\r\n\r\n")
    assert head.split()[1] == status
    assert set(json.loads(body)) == {"error"}
    assert b"script" not in body


def test_a_body_in_chunks_is_read_whole(bot: Chatbot) -> None:
    answer = bot.raw(
        b"POST /chat HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'8\r\n{"text":\r\n5;note=x\r\n"ahoy\r\n2\r\n"}\r\n0\r\nTrailer: x\r\n\r\n'
    )
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["answer"] == "ahoy"


def test_every_message_is_kept_when_many_talk_at_once(tmp_path: Path) -> None:
    with chatbot(tmp_path, memory_retention="Days") as bot, ThreadPoolExecutor(16) as people:
        list(people.map(bot.chat, [f"message {number}" for number in range(100)]))
        assert bot.chat("the last one")["remembered"] == 101


def test_stop_does_not_wait_for_a_connection_that_says_nothing(tmp_path: Path) -> None:
    with chatbot(tmp_path, memory_retention="Days") as bot, socket.create_connection((bot.host, bot.port)):
        bot.chat("hello")
        assert bot.stop() == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_exit_code_is_zero_when_told_to_stop(tmp_path: Path, how: signal.Signals) -> None:
    with chatbot(tmp_path) as bot:
        assert bot.stop(how) == 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        pytest.param({"memroy_days": "3"}, "CHATBOT_MEMROY_DAYS is not a setting", id="an unknown setting"),
        pytest.param({"model": "gpt"}, "CHATBOT_MODEL must be echo", id="an unknown model"),
        pytest.param({"memory_retention": "Forever"}, "must be None or Days", id="an unknown retention"),
        pytest.param({"memory_days": "0"}, "from 1 to 3650", id="no days"),
        pytest.param({"memory_days": "-3"}, "from 1 to 3650", id="negative days"),
        pytest.param({"memory_days": "1e9"}, "from 1 to 3650", id="days that are no number"),
        pytest.param({"listen": "8080"}, "an address and a port", id="a port alone"),
        pytest.param({"listen": "127.0.0.1:99999"}, "an address and a port", id="a port that does not exist"),
        pytest.param({"listen": "192.0.2.1:8080"}, "Cannot listen", id="an address of somebody else"),
        pytest.param(
            {"memory_retention": "Days", "data_dir": "/nowhere"}, "cannot be used", id="a memory without a folder"
        ),
    ],
)
def test_start_is_refused_with_one_sentence_when_a_setting_is_bad(
    tmp_path: Path, settings: dict[str, str], sentence: str
) -> None:
    program = start(tmp_path, **settings)
    _, said = program.communicate(timeout=20)
    assert program.returncode == 78
    assert sentence in said
    assert said.count("\n") == 1
