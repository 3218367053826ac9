"""One client of the kill test: works through its endless script, and writes down what was answered before it goes on.

What it writes survives its own death, since the file belongs to the kernel. Its successor reads the last line and makes
the step after it again, with the same key, whether or not the ledger has it already.
"""

import asyncio
import copy
import json
import logging
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from moorage.model.errors import Transient, Unavailable
from moorage.store.database import Database
from tests.integration.money.operations import OPERATIONS
from tests.integration.money.steps import Hands, Place, Seeded, Step
from tests.integration.money.world import START_S

SECONDS_PER_STEP = 2
RETRY_SECONDS = 0.02
SHARED = sorted(OPERATIONS)


@dataclass
class Diary:
    """How far a client has come: the line it writes after every answer."""

    step: int = 0
    count: int = 0
    pods: dict[str, str] = field(default_factory=dict)
    things: dict[str, list[Any]] = field(default_factory=dict)  # Any: as in Place
    traces: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Client:
    """What a client is told when it is born, and its successor too."""

    name: str
    url: str
    wallets: tuple[str, ...]
    agents: dict[str, str]
    folder: Path

    @property
    def diary(self) -> Path:
        """One JSON line for every answered step."""
        return self.folder / f"{self.name}.jsonl"

    @property
    def inside(self) -> Path:
        """The number of the step that was last begun."""
        return self.folder / f"{self.name}.begun"

    def last(self) -> Diary:
        """Where the predecessor was."""
        text = self.diary.read_text() if self.diary.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # killed in the midst of a line: it was never written, and the next must not be glued to it
            os.truncate(self.diary, len(whole.encode()))
        lines = whole.splitlines()
        return Diary(**json.loads(lines[-1])) if lines else Diary()

    def next_step(self, diary: Diary) -> tuple[Step | None, Diary]:
        """The step after this line, always the same one, and the line that will follow its answer."""
        number = diary.step + 1
        now = START_S + number * SECONDS_PER_STEP
        place = Place(
            self.name, now, self.wallets, self.agents, pods=dict(diary.pods), things=copy.deepcopy(diary.things),
            count=diary.count,
        )  # fmt: skip
        draw = Seeded(f"{self.name}/{number}")
        step = OPERATIONS[draw.pick(SHARED)](draw, place)
        return step, Diary(number, place.count, place.pods, place.things, () if step is None else step.traces)

    async def live(self, steps_max: int | None = None) -> None:
        """Until it is killed, or so many steps were answered; a number at which there is nothing to do is none."""
        diary = self.last()
        begun = os.open(self.inside, os.O_CREAT | os.O_WRONLY, 0o600)
        answered = os.open(self.diary, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        wire = Wire(self.url)
        answers = 0
        while steps_max is None or answers < steps_max:
            step, after = self.next_step(diary)
            if step is not None:
                answers += 1
                os.pwrite(begun, b"%12d" % after.step, 0)
                await wire.answer(step)
                os.write(answered, json.dumps(asdict(after)).encode() + b"\n")
            diary = after
        await wire.close()

    def run(self) -> None:
        """The whole life of a forked child."""
        logging.disable()  # a pool that says how the server went away says what everybody here knows
        try:
            asyncio.run(self.live())
        finally:
            os._exit(0)  # nothing of the parent's may run in here


@dataclass
class Wire:
    """The client's connection, made anew as often as the server goes away."""

    url: str
    database: Any = None  # Any: None until it is connected

    async def answer(self, step: Step) -> None:
        """Make the step until it is answered."""
        while True:
            try:
                if self.database is None:
                    self.database = await Database.connect(self.url, size_max=1)
                await step.call(Hands(self.database, self.database))
            except (Unavailable, Transient, asyncpg.PostgresError) as error:
                self._judge(error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def close(self) -> None:
        """Hang up."""
        if self.database is not None:
            await self.database.close()

    def _judge(self, error: Exception) -> None:
        # A server that starts again refuses connections by an error of its own class.
        if isinstance(error, asyncpg.PostgresError) and not isinstance(error, asyncpg.OperatorInterventionError):
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            raise error
        if isinstance(error, Unavailable):
            self.database = None
