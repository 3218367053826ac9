"""The self-check: while an admission policy of the release is missing or was changed, no pod of an agent starts."""

from moorage.kube.policies import Policies
from moorage.observability import Metrics

LOOK_SECONDS = 30.0
# Somebody is most likely putting it right, or the chart is just being installed.
LOOK_SECONDS_MISSING = 5.0


class CheckPolicies:
    """Looks again and again, for nobody tells."""

    def __init__(self, policies: Policies, metrics: Metrics) -> None:
        self._policies = policies
        self._metrics = metrics

    async def check(self) -> float:
        """One look."""
        await self._policies.look()
        self._metrics.policies_missing.set(len(self._policies.missing))
        return LOOK_SECONDS if self._policies.in_force() else LOOK_SECONDS_MISSING
