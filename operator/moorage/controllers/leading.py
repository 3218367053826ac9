"""The leader epoch of this process, as every write needs it."""

from moorage.model.errors import LostLeadership


class Epoch:
    """Set while this process leads; asking for it otherwise is an error, not a default."""

    def __init__(self) -> None:
        self._value: int | None = None

    @property
    def current(self) -> int:
        """The epoch; raises LostLeadership while this process does not lead."""
        if self._value is None:
            raise LostLeadership("this process does not lead")
        return self._value

    def lead(self, value: int) -> None:
        """Take up an epoch."""
        self._value = value

    def stop(self) -> None:
        """Lay leadership down."""
        self._value = None
