"""Notices that go nowhere yet: their row in the database is all there is, and `moorage purge status` shows it."""

import logging

from moorage.model.purges import Notice

log = logging.getLogger(__name__)


class RecordedNotices:
    """Accepts every notice as soon as it is written down."""

    async def send(self, notice: Notice) -> None:
        """Say it in the log too, for whoever forwards that."""
        log.info(
            "notice to an owner",
            extra={
                notice.kind.lower(): notice.uid,
                "stage": notice.stage.value,
                "deadline": notice.deadline.isoformat(),
            },
        )
