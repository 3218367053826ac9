"""Routes of the kind that the platform made before a setting changed: listed now and then, for nothing watches them."""

from dataclasses import dataclass

import msgspec

from moorage.kube import failures, kinds
from moorage.kube.client import Client
from moorage.kube.objects import Identity
from moorage.kube.routes import ROUTES
from moorage.model.names import COMPONENT_ROUTE, LABEL_COMPONENT, LABEL_MANAGED
from moorage.model.offer import RouteKind

OURS = f"{LABEL_MANAGED}=true,{LABEL_COMPONENT}={COMPONENT_ROUTE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerRoute:
    """A route that a Domain controls, and that nobody needs once the Domain has one of the present kind."""

    namespace: str
    name: str
    uid: str
    domain_uid: str


class _Found(msgspec.Struct, frozen=True):
    metadata: Identity


class FormerRoutes:
    """Looks for routes of the other kind, and takes them away one by one."""

    def __init__(self, client: Client, present: RouteKind) -> None:
        self._client = client
        (self._kind,) = (kind for name, kind in ROUTES.items() if name is not present)

    async def look(self) -> list[FormerRoute]:
        """Those that are ours by label and owner; none where the cluster does not have the kind."""
        try:
            found, _ = await self._client.list(kinds.collection_path(self._kind), _Found, label_selector=OURS)
        except failures.Missing:
            return []
        return [
            FormerRoute(
                namespace=one.metadata.namespace, name=one.metadata.name, uid=one.metadata.uid, domain_uid=owner.uid
            )
            for one in found
            if (owner := one.metadata.controller) is not None and owner.kind == "Domain"
        ]

    async def remove(self, route: FormerRoute) -> bool:
        """Take exactly this one away; False when it is gone already."""
        path = kinds.object_path(self._kind, route.namespace, route.name)
        return await self._client.delete(path, uid=route.uid)
