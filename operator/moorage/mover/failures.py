"""How the mover says that it failed: one exception, one code of the closed list."""

from moorage.model.snapshots import Failure


class MoverFailure(Exception):
    """The attempt cannot succeed; only the code leaves this machine."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.value)
        self.failure = failure
