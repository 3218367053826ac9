"""etcd and kube-apiserver alone: enough to learn what a real API server accepts; nothing schedules or runs."""

import secrets
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

from tests.store_server import free_ports

START_LIMIT_SECONDS = 180.0
KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: contract
contexts: [{{name: contract, context: {{cluster: contract, user: contract}}}}]
clusters: [{{name: contract, cluster: {{server: "{server}", certificate-authority: "{certificate}"}}}}]
users: [{{name: contract, user: {{token: "{token}"}}}}]
"""


class ControlPlane:
    """One API server over one folder, on the loopback."""

    def __init__(self, programs: Path, folder: Path, *flags: str) -> None:
        self._programs = programs
        self._folder = folder
        self._flags = flags
        self._store_port, self._peer_port, self._port = free_ports(3)
        self._token = secrets.token_hex(16)
        self._children: list[subprocess.Popen[bytes]] = []

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return f"https://127.0.0.1:{self._port}"

    def start(self) -> str:
        """Start both, wait until they serve, and return the path of a kubeconfig."""
        self._files()
        store, peer = (f"http://127.0.0.1:{port}" for port in (self._store_port, self._peer_port))
        data = self._folder / "etcd"
        data.mkdir(mode=0o700)
        self._run("etcd", "--data-dir", str(data), "--unsafe-no-fsync", "--log-level=error",
                  "--listen-client-urls", store, "--advertise-client-urls", store, "--listen-peer-urls", peer,
                  "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}")  # fmt: skip
        self._run("kube-apiserver", "--etcd-servers", store, "--secure-port", str(self._port),
                  "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--cert-dir", str(self._folder),
                  "--service-cluster-ip-range=10.123.0.0/16", "--authorization-mode=RBAC",
                  "--token-auth-file", str(self._folder / "tokens.csv"),
                  "--service-account-issuer=https://contract",
                  "--service-account-key-file", str(self._folder / "account.key"),
                  "--service-account-signing-key-file", str(self._folder / "account.key"),
                  # Without a controller manager nobody makes the accounts that pods would have to name.
                  "--disable-admission-plugins=ServiceAccount", *self._flags)  # fmt: skip
        self._wait()
        path = self._folder / "kubeconfig"
        certificate = self._folder / "apiserver.crt"
        path.write_text(KUBECONFIG.format(server=self.server, certificate=certificate, token=self._token))
        return str(path)

    def stop(self) -> None:
        """Stop both at once; the folder is thrown away anyway."""
        for child in reversed(self._children):
            child.kill()
            child.wait()
        self._children.clear()

    def _files(self) -> None:
        key = self._folder / "account.key"
        subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
        (self._folder / "tokens.csv").write_text(f'{self._token},contract,contract,"system:masters"\n')

    def _run(self, program: str, *arguments: str) -> None:
        with (self._folder / f"{program}.log").open("wb") as log:
            argv = [str(self._programs / program), *arguments]
            self._children.append(subprocess.Popen(argv, stdout=log, stderr=log))

    def _wait(self) -> None:
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while not self._ready():
            dead = [child.args for child in self._children if child.poll() is not None]
            if dead or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the API server did not start; its log is in {self._folder}")
            time.sleep(0.1)

    def _ready(self) -> bool:
        certificate = self._folder / "apiserver.crt"
        if not certificate.exists():
            return False
        request = urllib.request.Request(f"{self.server}/readyz", headers={"Authorization": f"Bearer {self._token}"})
        try:
            context = ssl.create_default_context(cafile=str(certificate))
            with urllib.request.urlopen(request, context=context, timeout=2) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError, ssl.SSLError):
            return False
