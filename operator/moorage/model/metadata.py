"""Object metadata as we read it: only the fields somebody uses."""

import msgspec


class OwnerReference(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Who owns an object; only the controlling owner counts."""

    uid: str
    kind: str
    name: str
    controller: bool = False


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """metadata of any object."""

    name: str
    uid: str = ""
    namespace: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    finalizers: list[str] = []
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[OwnerReference] = []

    @property
    def deleting(self) -> bool:
        """Whether somebody asked for this object's deletion."""
        return self.deletion_timestamp is not None

    @property
    def controller_owner(self) -> OwnerReference | None:
        """The owner that controls this object, if any."""
        return next((owner for owner in self.owner_references if owner.controller), None)
