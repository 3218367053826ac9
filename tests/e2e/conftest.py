"""Fixtures of the end-to-end tests: the platform of this clone, and a tenant of its own for every test."""

from collections.abc import Callable, Iterator

import pytest

from dev.layout import Layout
from tests.e2e import canaries
from tests.e2e import house as houses
from tests.e2e.house import House
from tests.e2e.tenancy import Tenant


@pytest.fixture(scope="session")
def platform_house() -> Iterator[House]:
    """The platform, up; at the end it runs as it was found, and has told nobody what it was given to keep."""
    found = houses.running(Layout.current())
    yield found
    found.restore_operator()
    assert canaries.told(found, canaries.planted(found)) == []


@pytest.fixture(scope="session")
def closing(platform_house: House) -> Iterator[list[Tenant]]:
    """The tenants whose deletion was asked for: at the end of all tests not one of them may be left."""
    tenants: list[Tenant] = []
    yield tenants
    platform_house.restore_operator()
    for tenant in tenants:
        tenant.until_closed()


@pytest.fixture
def house(platform_house: House) -> Iterator[House]:
    """The platform for one test; whatever the test stops runs again afterwards."""
    yield platform_house
    platform_house.start_store()
    platform_house.restore_operator()


@pytest.fixture
def new_tenant(house: House, closing: list[Tenant]) -> Iterator[Callable[[], Tenant]]:
    """Names another tenant, which is removed after the test; nothing of it exists yet."""
    made: list[Tenant] = []

    def make() -> Tenant:
        made.append(Tenant(house))
        return made[-1]

    yield make
    for tenant in made:
        tenant.close()
        closing.append(tenant)


@pytest.fixture
def tenant(new_tenant: Callable[[], Tenant]) -> Tenant:
    """The test's one tenant."""
    return new_tenant()
