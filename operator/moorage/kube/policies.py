"""Whether the admission policies of this release are in force as the chart has rendered them.

The chart also leaves what it rendered in a ConfigMap, and that is compared with what the API server has, field by
field. A probe that must be refused would prove one rule of one policy; a missing or narrowed one is what a failed
upgrade or a slip leaves behind. Who may write in the namespace of the release can deceive it; they have all already.
"""

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from moorage.kube import kinds
from moorage.kube.client import Client
from moorage.kube.failures import Forbidden
from moorage.kube.objects import Live

CONFIG_MAP = "moorage-policies"
KEY = "policies.json"
SELECTOR = "app.kubernetes.io/part-of=moorage"
UNREADABLE = frozenset({CONFIG_MAP})

log = logging.getLogger(__name__)

Spec = Mapping[str, Any]  # of a policy or a binding
_RENDERED = msgspec.json.Decoder(dict[str, dict[str, Any]])


class Policies:
    """What was found at the last look; before the first one, nothing is known to be in force."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._path = kinds.object_path(kinds.CONFIG_MAP, namespace, CONFIG_MAP)
        self._missing: frozenset[str] = UNREADABLE

    @property
    def missing(self) -> frozenset[str]:
        """Policies that are not there, not bound, or not as they were rendered."""
        return self._missing

    def in_force(self) -> bool:
        """Whether a pod may start."""
        return not self._missing

    async def look(self) -> None:
        """Compare again. Raises Unavailable when the API server does not answer: what was known then stays."""
        try:
            found = await self._compared()
        except Forbidden:  # what may not be looked at cannot be vouched for
            found = UNREADABLE
        if found != self._missing:
            log.log(
                logging.ERROR if found else logging.INFO,
                "admission policies are missing or were changed" if found else "admission policies are in force",
                extra={"policies": sorted(found)},
            )
        self._missing = found

    async def _compared(self) -> frozenset[str]:
        rendered = await self._rendered()
        if not rendered:
            return UNREADABLE
        policies = await self._specs(kinds.VALIDATING_POLICY)
        bindings = await self._specs(kinds.VALIDATING_POLICY_BINDING)
        return frozenset(
            name
            for name, spec in rendered.items()
            if not (_same(policies.get(name), spec) and _same(bindings.get(name), _binding(name)))
        )

    async def _rendered(self) -> dict[str, Spec]:
        live = await self._client.get(self._path, Live)
        text = (live.data or {}).get(KEY) if live is not None else None
        try:
            return dict(_RENDERED.decode(text or "{}"))
        except msgspec.DecodeError:
            return {}

    async def _specs(self, kind: kinds.Kind) -> dict[str, Spec]:
        found, _ = await self._client.list(kinds.collection_path(kind), Live, label_selector=SELECTOR)
        return {live.metadata.name: live.spec or {} for live in found if not live.metadata.deleting}


def _binding(name: str) -> Spec:
    return {"policyName": name, "validationActions": ["Deny"]}


def _same(live: Any, rendered: Any) -> bool:
    """Whether all that was rendered is there, and nothing beside it but single values, which the server fills in.

    All that could narrow a policy without changing what was rendered is a list or a map.
    """
    if isinstance(rendered, Mapping):
        if not isinstance(live, Mapping):
            return False
        beside = (value for name, value in live.items() if name not in rendered)
        return not any(isinstance(value, list | Mapping) and value for value in beside) and all(
            _same(live.get(name), value) for name, value in rendered.items()
        )
    if isinstance(rendered, list):
        return (
            isinstance(live, list)
            and len(live) == len(rendered)
            and all(_same(theirs, ours) for theirs, ours in zip(live, rendered, strict=True))
        )
    return bool(live == rendered)
