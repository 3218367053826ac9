"""An object store in memory: the small objects of it."""

from moorage.model.errors import Unavailable


class MemoryObjects:
    """What the witness needs of a bucket; `down` makes it stop answering."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.down = False

    async def read(self, key: str) -> bytes | None:
        """The object, if there is one."""
        self._answer()
        return self.objects.get(key)

    async def write(self, key: str, body: bytes) -> None:
        """Put it, whatever is there."""
        self._answer()
        self.objects[key] = body

    async def write_once(self, key: str, body: bytes) -> None:
        """Put it where nothing is."""
        self._answer()
        self.objects.setdefault(key, body)

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("the object store cannot be reached")
