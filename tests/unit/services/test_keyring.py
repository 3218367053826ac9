"""Three tiers of keys: each opens only what was wrapped for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.services.keyring import Keyring, KeyUnreadable, WrongRootKey

ROOT, OTHER = Keyring(bytes(32)), Keyring(bytes([1]) * 32)


def test_a_data_key_opens_for_its_tenant_and_attempt() -> None:
    tenant_key = ROOT.new_tenant_key("tenant")
    plain, wrapped = ROOT.new_data_key(tenant_key, "tenant", "attempt")
    assert len(plain) == 32
    assert plain not in wrapped
    assert ROOT.open_data_key(wrapped, tenant_key, "tenant", "attempt") == plain


def test_no_two_keys_are_equal() -> None:
    tenant_key = ROOT.new_tenant_key("tenant")
    assert tenant_key != ROOT.new_tenant_key("tenant")
    first, second = (ROOT.new_data_key(tenant_key, "tenant", "attempt") for _ in range(2))
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_a_data_key_does_not_open_under_another_name() -> None:
    tenant_key, other_key = ROOT.new_tenant_key("tenant"), ROOT.new_tenant_key("other")
    _, wrapped = ROOT.new_data_key(tenant_key, "tenant", "attempt")
    for wrong in (
        lambda: ROOT.open_data_key(wrapped, tenant_key, "tenant", "another attempt"),
        lambda: ROOT.open_data_key(wrapped, other_key, "other", "attempt"),
        lambda: ROOT.open_data_key(wrapped, tenant_key, "other", "attempt"),
        lambda: ROOT.open_data_key(tenant_key, tenant_key, "tenant", "attempt"),
        lambda: OTHER.open_data_key(wrapped, tenant_key, "tenant", "attempt"),
        lambda: OTHER.new_data_key(tenant_key, "tenant", "attempt"),
    ):
        with pytest.raises(KeyUnreadable):
            wrong()


@given(st.data())
def test_a_damaged_wrap_does_not_open(data: st.DataObject) -> None:
    tenant_key = ROOT.new_tenant_key("tenant")
    _, wrapped = ROOT.new_data_key(tenant_key, "tenant", "attempt")
    damaged = bytearray(wrapped)
    damaged[data.draw(st.integers(0, len(wrapped) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(KeyUnreadable):
        ROOT.open_data_key(bytes(damaged), tenant_key, "tenant", "attempt")
    with pytest.raises(KeyUnreadable):
        ROOT.open_data_key(wrapped[: data.draw(st.integers(0, len(wrapped) - 1))], tenant_key, "tenant", "attempt")


def test_the_check_value_tells_the_right_root_key_from_a_wrong_one() -> None:
    assert ROOT.accepts(ROOT.check_value())
    assert not OTHER.accepts(ROOT.check_value())
    assert not ROOT.accepts(b"")


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_root_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(WrongRootKey, match="32 bytes"):
        Keyring(bytes(size))
