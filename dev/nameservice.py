"""Ask the cluster's name service a question, the only proof that it, its Service and kube-proxy work."""

import struct

from dev import netns
from dev.layout import Layout

QUESTION = "kubernetes.default.svc.cluster.local"
ADDRESS_RECORD, INTERNET = 1, 1


def answers(layout: Layout) -> bool:
    """Whether the Service's address answers for a name that always exists."""
    try:
        with netns.connect(layout, layout.dns_ip, 53, timeout_seconds=1) as connection:
            # Over TCP a message carries its length in front.
            message = _query(QUESTION)
            connection.sendall(struct.pack("!H", len(message)) + message)
            answer = connection.recv(512)
    except OSError:
        return False
    if len(answer) < 10:
        return False
    flags, _, answer_count = struct.unpack("!HHH", answer[4:10])
    return bool(flags & 0xF == 0 and answer_count > 0)


def _query(name: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    header = struct.pack("!HHHHHH", 1, 0x0100, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack("!HH", ADDRESS_RECORD, INTERNET)
