"""A sealed value opens with its own key, owner and place, whole and unchanged, and in no other way."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from moorage.model.sealing import KeyUnreadable, Place
from moorage.services import envelope

KEYS = st.binary(min_size=32, max_size=32)
VERSIONS = st.integers(1, envelope.VERSION_MAX)
WORDS = st.text(max_size=12)
PLACES = st.builds(Place, WORDS, WORDS, WORDS)
TEXTS = st.binary(max_size=200)


@given(KEYS, VERSIONS, WORDS, PLACES, TEXTS)
def test_what_was_sealed_opens_and_names_its_version(
    key: bytes, version: int, owner: str, place: Place, text: bytes
) -> None:
    sealed = envelope.seal(key, version, owner, place, text)
    assert envelope.version_of(sealed) == version
    assert envelope.unseal(key, owner, place, sealed) == text
    assert sealed != envelope.seal(key, version, owner, place, text), "never the same twice"


@given(KEYS, WORDS, PLACES, WORDS, PLACES, KEYS)
def test_a_value_moved_to_another_row_column_table_or_owner_does_not_open(
    key: bytes, owner: str, place: Place, other_owner: str, other_place: Place, other_key: bytes
) -> None:
    sealed = envelope.seal(key, 1, owner, place, b"secret")
    for moved in (
        (other_key, owner, place),
        (key, other_owner, place),
        (key, owner, other_place),
        (key, owner, Place(other_place.table, place.row, place.column)),
        (key, owner, Place(place.table, other_place.row, place.column)),
        (key, owner, Place(place.table, place.row, other_place.column)),
    ):
        if moved != (key, owner, place):
            with pytest.raises(KeyUnreadable):
                envelope.unseal(*moved, sealed)


@given(st.lists(WORDS, min_size=4, max_size=4), st.data())
def test_names_that_read_the_same_when_joined_are_different_places(words: list[str], data: st.DataObject) -> None:
    joined = "".join(words)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(joined)), min_size=3, max_size=3)))
    again = [joined[start:end] for start, end in zip([0, *cuts], [*cuts, len(joined)], strict=True)]
    assume(again != words)
    sealed = envelope.seal(bytes(32), 1, words[0], Place(*words[1:]), b"secret")
    with pytest.raises(KeyUnreadable):
        envelope.unseal(bytes(32), again[0], Place(*again[1:]), sealed)


@given(TEXTS, st.data())
def test_a_value_that_was_cut_lengthened_or_changed_in_any_bit_does_not_open(text: bytes, data: st.DataObject) -> None:
    place = Place("table", "row", "column")
    sealed = envelope.seal(bytes(32), 7, "owner", place, text)
    changed = bytearray(sealed)
    changed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (bytes(changed), sealed[: data.draw(st.integers(0, len(sealed) - 1))], sealed + b"\0"):
        with pytest.raises(KeyUnreadable):
            envelope.unseal(bytes(32), "owner", place, damaged)


@given(TEXTS, TEXTS)
def test_parts_of_two_values_do_not_make_a_third(one: bytes, other: bytes) -> None:
    place, head = Place("table", "row", "column"), envelope.HEADER_BYTES + envelope.NONCE_BYTES
    first = envelope.seal(bytes(32), 1, "owner", place, one)
    second = envelope.seal(bytes(32), 1, "owner", place, other)
    with pytest.raises(KeyUnreadable):
        envelope.unseal(bytes(32), "owner", place, first[:head] + second[head:])


@pytest.mark.parametrize("format_", [0, 1, 3, 255])
def test_another_format_is_refused_and_never_guessed(format_: int) -> None:
    place = Place("table", "row", "column")
    sealed = envelope.seal(bytes(32), 1, "owner", place, b"secret")
    with pytest.raises(KeyUnreadable, match="unknown format"):
        envelope.unseal(bytes(32), "owner", place, bytes([format_]) + sealed[1:])
