"""How we reach the API server: the pod's service account, or the kubeconfig of a person."""

import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moorage.model.errors import Unavailable

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_CACHE_SECONDS = 60.0  # the kubelet renews a projected token long before its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where the API server is, whom we trust, and who we are (a certificate or a token)."""

    server: str
    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    token_file: str | None = None
    token: str | None = None
    verify: bool = True

    def ssl_context(self) -> ssl.SSLContext | None:
        """TLS as these credentials ask for it; None for a plain http server (a local proxy)."""
        if not self.server.startswith("https:"):
            return None
        context = ssl.create_default_context(cafile=self.ca_file)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_cert_file:
            context.load_cert_chain(self.client_cert_file, self.client_key_file)
        return context


def from_environment() -> Credentials:
    """The pod's service account if there is one, else the kubeconfig that KUBECONFIG (or ~/.kube/config) names."""
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    if host and (SERVICE_ACCOUNT / "token").exists():
        port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        return Credentials(
            server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
            ca_file=str(SERVICE_ACCOUNT / "ca.crt"),
            token_file=str(SERVICE_ACCOUNT / "token"),
        )
    return from_kubeconfig()


def from_kubeconfig(path: str | None = None) -> Credentials:
    """The current context of a kubeconfig; raises Unavailable with a sentence when there is none, or no support."""
    # The official package costs half a second and 46 MB: it must never be on the import path of the pod, and the image
    # does not carry it.
    try:
        from kubernetes import client, config  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        raise Unavailable(
            "no service account here, and no support for kubeconfig: install moorage[kubeconfig]"
        ) from error

    chosen = client.Configuration()
    try:
        # By name: the package has read the variable when it was imported, and never looks again.
        named = path or os.environ.get("KUBECONFIG")
        config.load_kube_config(config_file=named, client_configuration=chosen)  # type: ignore[no-untyped-call]  # theirs
    except config.ConfigException as error:
        raise Unavailable("no usable kubeconfig: set KUBECONFIG to a file with a current context") from error
    authorization = (chosen.api_key or {}).get("authorization") or (chosen.api_key or {}).get("BearerToken") or ""
    return Credentials(
        server=chosen.host,
        ca_file=chosen.ssl_ca_cert,
        client_cert_file=chosen.cert_file,
        client_key_file=chosen.key_file,
        token=authorization.removeprefix("Bearer ").strip() or None,
        verify=chosen.verify_ssl,
    )


class Authorization:
    """The Authorization header of a call; a token file is read again every minute, for its content changes."""

    def __init__(self, credentials: Credentials, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = Path(credentials.token_file) if credentials.token_file else None
        self._header = f"Bearer {credentials.token}" if credentials.token else None
        self._clock = clock
        self._read_at: float | None = None

    def header(self) -> str | None:
        """The value of the header, or None where a certificate says who we are."""
        if self._file is None:
            return self._header
        now = self._clock()
        if self._read_at is None or now - self._read_at >= TOKEN_CACHE_SECONDS:
            try:
                self._header = f"Bearer {self._file.read_text().strip()}"
            except OSError as error:
                raise Unavailable("the service account token cannot be read") from error
            self._read_at = now
        return self._header

    def forget(self) -> None:
        """Read the token file again at the next call: the server did not accept what we sent."""
        self._read_at = None
