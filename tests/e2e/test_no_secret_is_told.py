"""A life from the first start to a snapshot and back: nothing secret can be read in what the platform shows."""

import base64
import uuid

import pytest

from tests.e2e import canaries
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Tenant

pytestmark = pytest.mark.cluster

PLANTED_MIN = 3  # the database's password, the root key and the key of the store


def test_nothing_shows_a_secret(house: House, tenant: Tenant) -> None:
    tenant.open(PLENTY_MICROS)
    value = f"yellowcanary{uuid.uuid4().hex}"
    name = {"name": "model", "namespace": tenant.namespace}
    house.cluster.apply(
        "secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": name, "stringData": {"key": value}}
    )
    env = [{"name": "MODEL_KEY", "secretKeyRef": {"name": "model", "key": "key"}}]
    helper = tenant.agent(env=env)
    helper.until_ready()
    helper.patch(desiredState="Suspended")
    helper.until_suspended()
    helper.patch(desiredState="Running")
    helper.until_ready()
    secrets = canaries.planted(house)
    assert len(secrets) >= PLANTED_MIN, sorted(secrets)
    secrets |= {"a tenant's": value.encode(), "a tenant's, encoded": base64.b64encode(value.encode())}
    assert canaries.told(house, secrets) == []


def test_a_secret_that_is_shown_is_found(house: House, tenant: Tenant) -> None:
    tenant.open()
    value = f"yellowcanary{uuid.uuid4().hex}"
    shown = {"name": "shown", "namespace": tenant.namespace}
    house.cluster.apply(
        "configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": shown, "data": {"a": value}}
    )
    assert canaries.told(house, {"a tenant's": value.encode()}) == ["configmaps: a tenant's"]
