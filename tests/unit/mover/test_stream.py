"""The cipher of snapshots, against the real Tink and against everything that tampers."""

import io
from collections.abc import Callable

import pytest
import tink
from hypothesis import given, settings
from hypothesis import strategies as st
from tink import secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

from moorage.model.snapshots import Binding
from moorage.mover import stream

KEY = bytes(range(32))
BINDING = Binding("tenant", "agent", "snapshot", "attempt")
AD = stream.associated_data(BINDING)
SMALL = 4096  # Tink's AES256_GCM_HKDF_4KB: the same code with many borders at little cost
FIRST, NEXT = SMALL - stream.HEADER_BYTES - stream.TAG_BYTES, SMALL - stream.TAG_BYTES


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    streaming_aead.register()


def tink_primitive(key: bytes, segment_bytes: int) -> streaming_aead.StreamingAead:
    parameters = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
        ciphertext_segment_size=segment_bytes, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
    )
    proto = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, params=parameters, key_value=key)
    data = tink_pb2.KeyData(
        type_url="type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey",
        value=proto.SerializeToString(),
        key_material_type=tink_pb2.KeyData.SYMMETRIC,
    )
    keyset = tink_pb2.Keyset(primary_key_id=1)
    keyset.key.add(key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW)
    handle = tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
    return handle.primitive(streaming_aead.StreamingAead)


class Sink(io.BytesIO):
    """Keeps its content when Tink closes it."""

    content = b""

    def close(self) -> None:
        self.content = self.getvalue()
        super().close()


def tink_encrypt(plain: bytes, segment_bytes: int) -> bytes:
    sink = Sink()
    with tink_primitive(KEY, segment_bytes).new_encrypting_stream(sink, AD) as writer:
        writer.write(plain)
    return sink.content


def tink_decrypt(sealed: bytes, segment_bytes: int) -> bytes:
    with tink_primitive(KEY, segment_bytes).new_decrypting_stream(io.BytesIO(sealed), AD) as reader:
        return reader.read()


def our_encrypt(plain: bytes, segment_bytes: int = SMALL) -> bytes:
    return b"".join(stream.encrypt(io.BytesIO(plain), KEY, AD, segment_bytes=segment_bytes))


def our_decrypt(sealed: bytes, segment_bytes: int = SMALL, key: bytes = KEY, associated: bytes = AD) -> bytes:
    return b"".join(stream.decrypt(io.BytesIO(sealed), key, associated, segment_bytes=segment_bytes))


def text(size: int) -> bytes:
    return bytes(index % 251 for index in range(size))


BORDERS = [0, 1, FIRST, FIRST + NEXT, FIRST + 2 * NEXT, FIRST + 3 * NEXT]
sizes = st.one_of(
    st.sampled_from(BORDERS).flatmap(lambda border: st.integers(max(0, border - 17), border + 17)),
    st.integers(0, 5 * SMALL),
)


@settings(deadline=None, max_examples=150)
@given(sizes)
def test_tink_reads_what_we_write(size: int) -> None:
    assert tink_decrypt(our_encrypt(text(size)), SMALL) == text(size)


@settings(deadline=None, max_examples=150)
@given(sizes)
def test_we_read_what_tink_writes(size: int) -> None:
    assert our_decrypt(tink_encrypt(text(size), SMALL)) == text(size)


MIB = stream.SEGMENT_BYTES
BIG_FIRST, BIG_NEXT = MIB - stream.HEADER_BYTES - stream.TAG_BYTES, MIB - stream.TAG_BYTES


@pytest.mark.parametrize("size", [0, BIG_FIRST - 1, BIG_FIRST, BIG_FIRST + 1, BIG_FIRST + 2 * BIG_NEXT, 3 * MIB])
def test_tink_and_we_agree_both_ways_with_segments_of_one_mebibyte(size: int) -> None:
    plain = b"\x5a" * size
    assert tink_decrypt(our_encrypt(plain, MIB), MIB) == plain
    assert our_decrypt(tink_encrypt(plain, MIB), MIB) == plain


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=3 * SMALL), st.lists(st.integers(1, 1500), min_size=1, max_size=20))
def test_the_object_does_not_depend_on_how_the_source_is_cut(plain: bytes, reads: list[int]) -> None:
    assert our_decrypt(b"".join(stream.encrypt(Dribble(plain, reads), KEY, AD, segment_bytes=SMALL))) == plain


class Dribble:
    """A source that returns a few bytes at a time, as pipes do."""

    def __init__(self, content: bytes, reads: list[int]) -> None:
        self._source = io.BytesIO(content)
        self._reads, self._turn = reads, 0

    def readinto(self, buffer: memoryview) -> int:
        self._turn += 1
        return self._source.readinto(buffer[: self._reads[self._turn % len(self._reads)]])


def test_every_segment_but_the_last_has_exactly_one_mebibyte() -> None:
    segments = list(stream.encrypt(io.BytesIO(bytes(3 * MIB)), KEY, AD))
    assert [len(segment) for segment in segments[:-1]] == [MIB] * 3
    assert 0 < len(segments[-1]) < MIB


def segments_of(sealed: bytes) -> list[bytes]:
    return [sealed[start : start + SMALL] for start in range(0, len(sealed), SMALL)]


def flip(sealed: bytes, position: int) -> bytes:
    changed = bytearray(sealed)
    changed[position] ^= 1
    return bytes(changed)


def swapped(sealed: bytes) -> bytes:
    first, second, third, *rest = segments_of(sealed)
    return b"".join([first, third, second, *rest])


def repeated(sealed: bytes) -> bytes:
    first, second, *rest = segments_of(sealed)
    return b"".join([first, second, second, *rest])


def spliced(sealed: bytes) -> bytes:
    """A segment of another object under the same key, at the same place."""
    return b"".join([segments_of(sealed)[0], segments_of(our_encrypt(PLAIN))[1], *segments_of(sealed)[2:]])


PLAIN = text(FIRST + 3 * NEXT + 100)
TAMPERINGS: dict[str, Callable[[bytes], bytes]] = {
    "a flipped bit in the salt": lambda sealed: flip(sealed, 5),
    "a flipped bit in the nonce prefix": lambda sealed: flip(sealed, 35),
    "a wrong header length": lambda sealed: flip(sealed, 0),
    "a flipped bit in the first segment": lambda sealed: flip(sealed, stream.HEADER_BYTES + 3),
    "a flipped bit in a middle segment": lambda sealed: flip(sealed, 2 * SMALL + 9),
    "a flipped bit in the last tag": lambda sealed: flip(sealed, len(sealed) - 1),
    "a cut inside a segment": lambda sealed: sealed[: 2 * SMALL + 1000],
    "a cut inside a tag": lambda sealed: sealed[:-5],
    "a cut at a segment border": lambda sealed: sealed[: 3 * SMALL],
    "the last segment removed": lambda sealed: b"".join(segments_of(sealed)[:-1]),
    "a middle segment removed": lambda sealed: b"".join([*segments_of(sealed)[:1], *segments_of(sealed)[2:]]),
    "two segments swapped": swapped,
    "a segment repeated": repeated,
    "a segment of another object": spliced,
    "appended data": lambda sealed: sealed + b"\0",
    "an appended segment": lambda sealed: sealed + segments_of(sealed)[1],
    "an empty object": lambda _sealed: b"",
    "a cut inside the header": lambda sealed: sealed[:20],
    "a header alone": lambda sealed: sealed[: stream.HEADER_BYTES],
}


@pytest.mark.parametrize("tamper", list(TAMPERINGS.values()), ids=list(TAMPERINGS))
def test_decryption_fails_when_the_object_is_tampered_with(tamper: Callable[[bytes], bytes]) -> None:
    sealed = our_encrypt(PLAIN)
    assert our_decrypt(sealed) == PLAIN
    with pytest.raises(stream.Tampered):
        our_decrypt(tamper(sealed))


OTHER_BINDINGS = {
    "another tenant": Binding("other", "agent", "snapshot", "attempt"),
    "another agent": Binding("tenant", "other", "snapshot", "attempt"),
    "another snapshot": Binding("tenant", "agent", "other", "attempt"),
    "another attempt": Binding("tenant", "agent", "snapshot", "other"),
    "fields that read the same when joined": Binding("tenantagent", "", "snapshot", "attempt"),
}


@pytest.mark.parametrize("binding", list(OTHER_BINDINGS.values()), ids=list(OTHER_BINDINGS))
def test_decryption_fails_under_another_binding(binding: Binding) -> None:
    with pytest.raises(stream.Tampered):
        our_decrypt(our_encrypt(PLAIN), associated=stream.associated_data(binding))


def test_decryption_fails_under_another_key() -> None:
    with pytest.raises(stream.Tampered):
        our_decrypt(our_encrypt(PLAIN), key=bytes(32))


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        our_decrypt(our_encrypt(PLAIN), key=bytes(16))


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_decryption_fails_when_any_single_bit_is_flipped(data: st.DataObject) -> None:
    sealed = our_encrypt(PLAIN)
    position = data.draw(st.integers(0, len(sealed) - 1))
    with pytest.raises(stream.Tampered):
        our_decrypt(flip(sealed, position))


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_decryption_fails_when_the_object_is_cut_anywhere(data: st.DataObject) -> None:
    sealed = our_encrypt(PLAIN)
    with pytest.raises(stream.Tampered):
        our_decrypt(sealed[: data.draw(st.integers(0, len(sealed) - 1))])
