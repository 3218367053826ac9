"""When the certificate ends that the API serves is known from the file, and a file that is none is refused."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from moorage import bootstrap
from moorage.settings import SettingsError

END = datetime.datetime(2030, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)


def test_the_end_of_the_certificate_is_read(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, END - datetime.timedelta(days=9), END)
    file = tmp_path / "tls.crt"
    file.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    assert bootstrap._expiry(file) == END.timestamp()


def test_what_is_no_certificate_is_refused_with_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "tls.crt"
    file.write_text("not a certificate")
    with pytest.raises(SettingsError, match="MOORAGE_API_TLS_CERT_FILE must hold a certificate"):
        bootstrap._expiry(file)
