"""Certificates, keys and kubeconfigs of the cluster."""

import base64
import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dev.layout import Layout

VALID_DAYS = 730
RENEW_DAYS = 30


@dataclass(frozen=True)
class Subject:
    """Who a certificate is for, and where it serves (no names: a client)."""

    file: str
    name: str
    group: str | None = None
    addresses: tuple[str, ...] = ()
    host_names: tuple[str, ...] = ()


def subjects(layout: Layout) -> list[Subject]:
    """Every certificate of the cluster."""
    return [
        Subject(
            "apiserver",
            "kube-apiserver",
            addresses=("127.0.0.1", layout.node_ip, "10.123.0.1"),
            host_names=(
                "localhost",
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
            ),
        ),
        Subject("apiserver-kubelet", "kube-apiserver-kubelet-client", "system:masters"),
        # The node's address must be in it: the API server reaches the kubelet by address for logs, exec and
        # port-forward, because there is no name service that knows the node.
        Subject("kubelet-server", "system:node:moorage", "system:nodes", ("127.0.0.1", layout.node_ip), ("moorage",)),
        Subject("kubelet", f"system:node:{layout.node_name}", "system:nodes"),
        Subject("controller-manager", "system:kube-controller-manager"),
        Subject("scheduler", "system:kube-scheduler"),
        Subject("proxy", "system:kube-proxy"),
        Subject("admin", "moorage-dev", "system:masters"),
    ]


def ensure(layout: Layout) -> None:
    """Write what is missing or about to expire, and the kubeconfigs, whose port may have changed."""
    layout.pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not _complete(layout):
        _issue(layout)
    inside = f"https://{layout.node_ip}:6443"
    for name in ("kubelet", "controller-manager", "scheduler", "proxy"):
        _kubeconfig(layout, layout.pki / f"{name}.kubeconfig", inside, name)
    _kubeconfig(layout, layout.pki / "admin-inside.kubeconfig", inside, "admin")
    _kubeconfig(layout, layout.run / "admin.kubeconfig", f"https://127.0.0.1:{layout.port('api-server')}", "admin")


def _complete(layout: Layout) -> bool:
    # The service account key is written last: an interrupted run leaves it out, and everything is issued again.
    if not (layout.pki / "service-account.pub").exists():
        return False
    limit = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=RENEW_DAYS)
    certificate = x509.load_pem_x509_certificate((layout.pki / "ca.crt").read_bytes())
    return certificate.not_valid_after_utc > limit


def _issue(layout: Layout) -> None:
    (layout.pki / "service-account.pub").unlink(missing_ok=True)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority(authority_key)
    _write(layout.pki / "ca.crt", authority.public_bytes(serialization.Encoding.PEM))
    for subject in subjects(layout):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(subject, key, authority, authority_key)
        _write(layout.pki / f"{subject.file}.key", _pem(key))
        _write(layout.pki / f"{subject.file}.crt", certificate.public_bytes(serialization.Encoding.PEM))
    account = ec.generate_private_key(ec.SECP256R1())
    _write(layout.pki / "service-account.key", _pem(account))
    public = account.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write(layout.pki / "service-account.pub", public)


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "moorage-dev-ca")])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _certificate(
    subject: Subject,
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, subject.name)]
    if subject.group:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, subject.group))
    serves = bool(subject.addresses or subject.host_names)
    usage = ExtendedKeyUsageOID.SERVER_AUTH if serves else ExtendedKeyUsageOID.CLIENT_AUTH
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = (
        _builder(x509.Name(parts), authority.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(issuer_key, critical=False)
    )
    if serves:
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in subject.host_names]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in subject.addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # An hour back, for a clock that is set after the start.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
    )


def _kubeconfig(layout: Layout, path: Path, server: str, client: str) -> None:
    # Keys embedded, so that the file can be copied somewhere else and still works.
    cluster = {"server": server, "certificate-authority-data": _embedded(layout.pki / "ca.crt")}
    user = {
        "client-certificate-data": _embedded(layout.pki / f"{client}.crt"),
        "client-key-data": _embedded(layout.pki / f"{client}.key"),
    }
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "moorage", "cluster": cluster}],
        "users": [{"name": client, "user": user}],
        "contexts": [{"name": "moorage", "context": {"cluster": "moorage", "user": client}}],
        "current-context": "moorage",
    }
    _write(path, yaml.safe_dump(content, sort_keys=False).encode())


def _embedded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    pending = path.with_name(f".{path.name}")
    descriptor = os.open(pending, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    pending.replace(path)
