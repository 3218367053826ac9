"""Whom a token speaks for, as the API server says; shared by the port that asks and the adapter that answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """The service account and the pod that a projected token is bound to."""

    namespace: str
    service_account: str
    pod_name: str
    pod_uid: str
