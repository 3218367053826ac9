"""`python -m tests.unit.providers.dying_folder FOLDER [EVERY]`: kill a run at each file operation, see what is left.

The profiler is told before and after each call into the operating system; at the n-th the process ends as SIGKILL would
end it: no `finally` runs, nothing is flushed. EVERY 3 takes each third n. Prints the last n of each scenario.
"""

import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from moorage.providers.folder import Folder
from moorage.providers.ports import FoundObject, UploadedPart

KEY = "s/tenant/snapshot/attempt"
PARTS = (b"first part " * 1000, b"the end")
WHOLE = b"".join(PARTS)
KILLED, OVER = 9, 0


def upload(folder: Folder) -> None:
    """What operator, mover and operator do in turn, as often as they like."""
    folder.begin()
    upload_id = folder.create_upload(KEY)
    parts = [
        UploadedPart(number, folder.put_part(KEY, upload_id, number, part)) for number, part in enumerate(PARTS, 1)
    ]
    folder.complete(KEY, upload_id, parts, len(WHOLE))


def replace(folder: Folder) -> None:
    """A small object that is written again."""
    folder.begin()
    folder.write("ledger/witness.json", b"one", replace=True)
    folder.write("ledger/witness.json", b"another", replace=True)


def give_up(folder: Folder) -> None:
    """An attempt that fails, and what its sweep does."""
    folder.begin()
    folder.put_part(KEY, folder.create_upload(KEY), 1, PARTS[0])
    folder.abort(KEY)
    folder.delete(KEY)


def purge(folder: Folder) -> None:
    """A snapshot that is deleted."""
    upload(folder)
    folder.delete(KEY)


# Each with what may be there at any moment, and what must be there at the end.
SCENARIOS: dict[str, tuple[Callable[[Folder], None], list[dict[str, bytes]]]] = {
    "upload": (upload, [{}, {KEY: WHOLE}]),
    "replace": (replace, [{}, {"ledger/witness.json": b"one"}, {"ledger/witness.json": b"another"}]),
    "give up": (give_up, [{}]),
    "purge": (purge, [{KEY: WHOLE}, {}]),
}


def killed_at(root: Path, scenario: Callable[[Folder], None], event: int) -> bool:
    """Run it in a child that dies at this event; False when it ended before."""
    child = os.fork()
    if child == 0:
        left = event

        def count(_frame: FrameType, what: str, called: object) -> None:
            nonlocal left
            if what.startswith("c_") and _is_operating_system(called):
                left -= 1
                if left == 0:
                    os._exit(KILLED)

        sys.setprofile(count)
        scenario(Folder(root))
        os._exit(OVER)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (KILLED, OVER), code
    return code == KILLED


def _is_operating_system(called: object) -> bool:
    """Functions of `os`, and what files do."""
    owner = getattr(called, "__self__", None)
    return "posix" in (getattr(called, "__module__", ""), getattr(owner, "__name__", "")) or isinstance(
        owner, io.IOBase
    )


def content(root: Path) -> dict[str, bytes]:
    """Every whole object; nothing torn may pass for one."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def main() -> None:
    """All scenarios at all their places."""
    home, places = Path(sys.argv[1]), dict[str, int]()
    every = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for name, (scenario, possible) in SCENARIOS.items():
        event = 1
        while True:
            root = home / f"{name}-{event}"
            root.mkdir()
            killed = killed_at(root, scenario, event)
            found = content(root / "objects")
            assert found in [{}, *possible], (name, event, found.keys())
            scenario(Folder(root))
            assert content(root / "objects") == possible[-1], (name, event)
            assert list((root / "uploads").iterdir()) == [], (name, event)
            assert list(Folder(root).walk("")) == [FoundObject(key, len(body)) for key, body in possible[-1].items()], (
                name,
                event,
            )
            shutil.rmtree(root)
            if not killed:
                break
            places[name] = event
            event += every
    sys.stdout.write(json.dumps(places))


if __name__ == "__main__":
    main()
