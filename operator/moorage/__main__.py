"""`python -m moorage operator | api | migrate | await-schema | mover`: the processes of the platform."""

import asyncio
import logging
import os
import sys

USAGE = """usage: python -m moorage operator | api | migrate | await-schema | mover VERB

operator      reconciles the four kinds, meters agents and settles wallets (one leads, others stand by)
api           serves health, metrics and the routes that movers use
migrate       brings the database schema up to date
await-schema  waits up to five minutes until somebody has migrated
mover         capture | restore | verify | rehearse one snapshot; started by the operator

The command line for people is `moorage --help`. Settings: docs/settings.md."""

LOST_LEADERSHIP_EXIT = 3


def main(arguments: list[str]) -> int:
    """Run one process; returns its exit code."""
    match arguments:
        case ["mover", *rest]:
            from moorage.mover import door  # noqa: PLC0415  # the mover loads nothing but itself: it must stay small

            return door.main(rest)
        case ["operator" | "api" | "migrate" | "await-schema" as name]:
            return _run(name)
        case _:
            print(USAGE, file=sys.stderr)  # noqa: T201  # the answer to a person at a terminal
            return 2


def _run(name: str) -> int:
    from moorage import bootstrap, logs, redaction  # noqa: PLC0415  # see above
    from moorage import settings as knobs  # noqa: PLC0415
    from moorage.model.errors import LostLeadership, MoorageError  # noqa: PLC0415

    log = logging.getLogger("moorage")
    logs.set_up_logging("INFO")  # first of all: from here on nothing leaves the process in another way
    try:
        settings = knobs.load(os.environ)
        logs.set_up_logging(settings.log_level)
        with asyncio.Runner(loop_factory=bootstrap.loop_factory) as runner:
            runner.run(bootstrap.PROCESSES[name](settings))
    except LostLeadership:
        log.warning("another process leads; stopping")
        return LOST_LEADERSHIP_EXIT
    except (knobs.SettingsError, MoorageError) as error:
        print(f"moorage {name}: {redaction.text(str(error))}", file=sys.stderr)  # noqa: T201  # the answer to a person at a terminal
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
