"""Restore a snapshot into a scratch folder, exactly as a mover would, only to see whether it can be done.

Runs as a child of the operator, which makes and removes the folder; the key comes in on standard input.
"""

import os
import sys
import threading

import msgspec

from moorage.model.record import AttemptKind
from moorage.model.snapshots import Assignment, Failure, RehearseRequest, VerifyAnswer
from moorage.mover.failures import MoverFailure
from moorage.mover.restore import restore

NICE = 10  # nobody waits for a rehearsal


def main(stop: threading.Event) -> int:
    """Read a request from standard input, write the answer to standard output."""
    os.nice(NICE)
    found = answer(sys.stdin.buffer.read(), stop)
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    sys.stdout.buffer.flush()
    return 0


def answer(request: bytes, stop: threading.Event) -> VerifyAnswer:
    """Restore once; a failure is an answer too."""
    try:
        asked = msgspec.json.decode(request, type=RehearseRequest)
        bound = asked.binding
        assignment = Assignment(
            kind=AttemptKind.RESTORE.value,
            tenant_uid=bound.tenant_uid,
            agent_uid=bound.agent_uid,
            snapshot_id=bound.snapshot_id,
            written_by=bound.written_by,
            data_key=asked.data_key,
            download_url=asked.download_url,
            expected=asked.expected,
            authority_pem=asked.authority_pem,
        )
        report = restore(assignment, asked.folder, lambda: asked.download_url, bound.written_by, stop)
        return VerifyAnswer(totals=report.totals)
    except MoverFailure as failed:
        return VerifyAnswer(failure=failed.failure)
    except msgspec.MsgspecError:
        return VerifyAnswer(failure=Failure.MOVER_FAILED)
