"""Routes of host names as the watches show them, and which kinds there are to watch; pure."""

from collections.abc import Mapping
from typing import Any

from moorage.kube import kinds, ownership
from moorage.kube.covers import covers
from moorage.kube.failures import Conflict
from moorage.kube.kinds import Kind
from moorage.kube.manifests import manifest_of
from moorage.kube.objects import Live
from moorage.model.domain_seen import NOT_SEEN, Sight, Thing
from moorage.model.errors import Permanent
from moorage.model.metadata import Metadata
from moorage.model.names import COMPONENT_WAITING, LABEL_COMPONENT, LABEL_MANAGED, domain_route
from moorage.model.offer import DomainOffer, RouteKind
from moorage.model.reasons import Reason

Manifest = Mapping[str, Any]

ROUTES: Mapping[RouteKind, Kind] = {RouteKind.INGRESS: kinds.INGRESS, RouteKind.HTTP_ROUTE: kinds.HTTP_ROUTE}


def watched(offer: DomainOffer | None) -> tuple[Kind, ...]:
    """The kinds that only an installation with host names watches; HTTPRoute may not even exist in others."""
    return () if offer is None else (ROUTES[offer.route_kind], kinds.ENDPOINT_SLICE)


def selector(kind: Kind) -> str:
    """Which objects of a kind are ours."""
    if kind == kinds.ENDPOINT_SLICE:  # the cluster puts a Service's labels on its slices, so ours carry one more
        return f"{LABEL_COMPONENT}={COMPONENT_WAITING}"
    return f"{LABEL_MANAGED}=true"


def place(kind: Kind, domain: Metadata) -> dict[str, Any]:
    """Enough of a manifest to look for a Domain's route."""
    where = {"name": domain_route(domain.name), "namespace": domain.namespace}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": where}


def seen(listed: bool, found: Live | None, domain: Metadata, wanted: Manifest | None) -> Thing:
    """How what is there under the route's name stands to what is wanted; None: nothing is wanted."""
    if not listed:
        return NOT_SEEN
    if found is None:
        return Thing(sight=Sight.ABSENT)
    live, owner = manifest_of(found), {"kind": "Domain", "name": domain.name, "uid": domain.uid, "controller": True}
    claimed = {"metadata": {"name": found.metadata.name, "namespace": domain.namespace, "ownerReferences": [owner]}}
    try:
        ownership.claim(live, claimed)
    except Conflict:  # a former Domain's of the same name, which is about to go
        return Thing(sight=Sight.UNDER_WAY)
    except Permanent:
        return Thing(sight=Sight.FOREIGN, problem=Reason.NAME_TAKEN)
    if found.metadata.deleting:
        return Thing(sight=Sight.UNDER_WAY)
    there = wanted is not None and covers(live, wanted)
    return Thing(sight=Sight.THERE if there else Sight.DIFFERENT, id=found.metadata.uid)
