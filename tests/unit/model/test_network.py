"""Destinations: what is read is exact, and what is not exact is refused before any policy is written."""

from typing import Any

import pytest

from moorage.model import network
from moorage.model.network import Addresses, Egress, Pods

API = {"namespace": "moorage-system", "labels": {"app.kubernetes.io/component": "api"}}


@pytest.mark.parametrize(
    ("entry", "read"),
    [
        ({"cidr": "10.0.0.0/8", "port": 443}, Egress(to=Addresses(cidr="10.0.0.0/8"), port=443)),
        ({"cidr": "fd00:0::1", "port": 9000}, Egress(to=Addresses(cidr="fd00::1/128"), port=9000)),
        ({**API, "port": 8443}, Egress(to=Pods(**API), port=8443)),
    ],
)
def test_a_destination_is_a_range_or_pods_with_a_port(entry: Any, read: Egress) -> None:
    assert network.destinations([entry]) == [read]


@pytest.mark.parametrize(
    "entry",
    [
        "10.0.0.0/8:443",
        {"cidr": "10.0.0.1/8", "port": 443},
        {"cidr": "store.example.com", "port": 443},
        {"cidr": "10.0.0.0/8"},
        {"cidr": "10.0.0.0/8", "port": 0},
        {"cidr": "10.0.0.0/8", "port": "443"},
        {"cidr": "10.0.0.0/8", "port": True},
        {"cidr": "10.0.0.0/8", "port": 443, "protocol": "UDP"},
        {"cidr": "10.0.0.0/8", **API, "port": 443},
        {"namespace": "moorage-system", "port": 8443},
        {"namespace": "moorage-system", "labels": {}, "port": 8443},
        {"namespace": "", "labels": {"a": "b"}, "port": 8443},
        {"namespace": "moorage-system", "labels": {"a": 1}, "port": 8443},
    ],
)
def test_what_is_not_exact_is_refused(entry: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        network.destinations([entry])
