"""The API's certificate: good for its address, signed by its own authority, kept while it is good."""

import datetime
from pathlib import Path

from cryptography import x509

from dev import tls


def _certificate(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "api.crt").read_bytes())


def test_certificate_is_signed_by_the_authority_beside_it(tmp_path: Path) -> None:
    tls.ensure(tmp_path, "10.77.0.1")
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    _certificate(tmp_path).verify_directly_issued_by(authority)


def test_certificate_is_kept_when_it_is_good_and_replaced_when_the_address_changed(tmp_path: Path) -> None:
    tls.ensure(tmp_path, "10.77.0.1")
    first = _certificate(tmp_path).serial_number
    tls.ensure(tmp_path, "10.77.0.1")
    assert _certificate(tmp_path).serial_number == first
    tls.ensure(tmp_path, "198.51.100.7")
    assert _certificate(tmp_path).serial_number != first


def test_certificate_is_replaced_when_it_is_about_to_expire(tmp_path: Path) -> None:
    tls.ensure(tmp_path, "10.77.0.1", days=tls.RENEW_DAYS - 1)
    tls.ensure(tmp_path, "10.77.0.1")
    left = _certificate(tmp_path).not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert left > datetime.timedelta(days=tls.RENEW_DAYS)
