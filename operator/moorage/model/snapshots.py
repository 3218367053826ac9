"""What mover, platform and verifier say to each other: messages, limits, and the closed list of failures."""

from enum import StrEnum

import msgspec

FORMAT_VERSION = 1  # bound into every object; see docs/snapshot-format.md
PART_BYTES = 7 << 20  # seven segments of 1 MiB: a part never cuts one, and a mover with three stays below 64 MB
PARTS_MAX = 10_000  # the limit of S3; with PART_BYTES an object ends at 68 GiB
PART_URLS_FIRST = 16
PART_URLS_MAX = 64
ETAG_LENGTH_MAX = 128


class Failure(StrEnum):
    """Why an attempt failed; foreign text (names, answers of a store) never takes its place."""

    # Said by the mover
    VOLUME_UNREADABLE = "VolumeUnreadable"  # a file or directory could not be read: a partial snapshot is no snapshot
    VOLUME_CHANGED = "VolumeChanged"  # something wrote while the volume was read
    VOLUME_NOT_EMPTY = "VolumeNotEmpty"  # a restore never goes over existing data
    VOLUME_FULL = "VolumeFull"
    EXTRACT_FAILED = "ExtractFailed"
    TOO_LARGE = "TooLarge"
    STORE_UNREACHABLE = "StoreUnreachable"
    STORE_REFUSED = "StoreRefused"
    STORE_FULL = "StoreFull"
    PLATFORM_UNREACHABLE = "PlatformUnreachable"
    INTERRUPTED = "Interrupted"
    MOVER_FAILED = "MoverFailed"  # also when the mover's Job ended without a word
    # Said by the mover (restore) and by the verifier
    OBJECT_MISSING = "ObjectMissing"
    OBJECT_DAMAGED = "ObjectDamaged"  # wrong hash, failed authentication, or not an archive
    COUNT_MISMATCH = "CountMismatch"
    # Said by the platform
    REPORT_INVALID = "ReportInvalid"
    UPLOAD_LOST = "UploadLost"  # the store knows neither the upload nor the object
    CALLED_OFF = "CalledOff"  # the agent moved on while the attempt ran


class Totals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What identifies a snapshot's content from outside: the object's hash and size, and the census of its files."""

    sha256: str  # of the encrypted object, hex
    object_bytes: int
    plain_bytes: int
    file_count: int


class Binding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The identities an object is bound to: read under any other, it does not decrypt."""

    tenant_uid: str
    agent_uid: str
    snapshot_id: str
    written_by: str  # the attempt that wrote the object, also when another attempt restores it


class ExportedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that opens one object without the platform, and tells whether it is whole; see docs/snapshot-format.md."""

    format: int
    binding: Binding
    data_key: bytes  # base64 in JSON
    totals: Totals


class AttemptRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a mover asks with when it starts."""

    attempt: str


class PartsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request for the URLs of `count` parts from number `first` (parts are numbered from 1)."""

    attempt: str
    first: int
    count: int


class PartUrls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """URLs in the order of their part numbers."""

    part_urls: list[str]


class Assignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything one mover needs; lives in its memory only."""

    kind: str  # model.record.AttemptKind
    tenant_uid: str
    agent_uid: str
    snapshot_id: str
    written_by: str
    data_key: bytes  # base64 in JSON
    part_bytes: int = 0
    part_urls: list[str] = []
    download_url: str = ""
    expected: Totals | None = None
    authority_pem: str = ""  # who signed the certificate behind the URLs, where not everybody knows it

    @property
    def binding(self) -> Binding:
        """The identities the object is, or will be, bound to."""
        return Binding(self.tenant_uid, self.agent_uid, self.snapshot_id, self.written_by)


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One uploaded part as the mover saw it accepted."""

    number: int
    etag: str
    sha256: str


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A mover's last word: totals, or a failure."""

    attempt: str
    parts: list[Part] = []
    sha256: str = ""
    object_bytes: int = 0
    plain_bytes: int = 0
    disk_bytes: int = 0  # what the captured volume really holds; nobody can verify it, so no data depends on it
    file_count: int = 0
    skipped_count: int = 0  # sockets, FIFOs and device nodes: they hold no data
    failure: Failure | None = None

    @property
    def totals(self) -> Totals:
        """The part of the report that a verifier can check."""
        return Totals(self.sha256, self.object_bytes, self.plain_bytes, self.file_count)


class VerifyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the verifier reads on its standard input."""

    download_url: str
    data_key: bytes
    binding: Binding
    authority_pem: str = ""


class RehearseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a restore into a scratch folder reads on its standard input; a VerifyAnswer is its answer."""

    download_url: str
    data_key: bytes
    binding: Binding
    expected: Totals
    folder: str
    authority_pem: str = ""


class VerifyAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the verifier found, or why it could not look."""

    totals: Totals | None = None
    failure: Failure | None = None
