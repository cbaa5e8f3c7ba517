"""One real kube-apiserver and etcd on loopback, for tests marked `cluster`. Built by `make tools`.

The admin's and any service account's credentials work as in a cluster; there are no controllers, nodes or pods.
"""

import asyncio
import contextlib
import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from holdfast import kube
from holdfast_gameday.world.ports import free_ports

ADMIN_TOKEN = "admin-of-a-throw-away-cluster"
AUDIT_LOG = "audit.log"
START_S = 60.0


def binaries() -> Path:
    return Path(os.environ.get("HOLDFAST_CACHE", Path.home() / ".cache" / "holdfast")) / "bin"


def available() -> bool:
    return all((binaries() / name).is_file() for name in ("kube-apiserver", "etcd", "kubectl"))


AUDITED = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "None", "verbs": ["get", "list", "watch"]}, {"level": "Metadata"}],
}


@dataclass(frozen=True, slots=True)
class ApiServer:
    """A running one. `token_file` is the admin's. `audit` holds a line for each write, where that was asked for."""

    url: str
    kubeconfig: Path
    ca_file: Path
    token_file: Path
    audit: Path
    processes: Sequence[subprocess.Popen[bytes]]

    def kill(self) -> None:
        """Nothing answers there any more, from one moment to the next."""
        _kill(self.processes)

    def kubectl(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [binaries() / "kubectl", f"--kubeconfig={self.kubeconfig}", *words],
            input=stdin, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def apply(self, *objects: dict) -> subprocess.CompletedProcess[str]:
        """kubectl apply, which validates strictly."""
        items = {"apiVersion": "v1", "kind": "List", "items": objects}
        return self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def client(self, name: str, *, token_file: Path | None = None) -> kube.Kube:
        """The operator's own client, called as the region is; with the admin's rights when no others are given."""
        token = token_file or self.token_file
        return kube.Kube(kube.Access(name=name, server=self.url, ca_file=str(self.ca_file), token_file=str(token)))


def conditions(api: ApiServer, kind: str, name: str, namespace: str = "clinic") -> dict[str, tuple[str, str, str]]:
    found = json.loads(api.kubectl("get", kind, name, "-n", namespace, "-o", "json").stdout)
    return {each["type"]: (each["status"], each["reason"], each["message"])
            for each in found.get("status", {}).get("conditions", [])}  # fmt: skip


async def until(seen: Callable[[], object], *, within_s: float = 30, every_s: float = 0.05) -> None:
    """Until it is seen. The API server is another process, so there is no event of ours to wait for."""
    async with asyncio.timeout(within_s):
        while not seen():  # noqa: ASYNC110 - see above
            await asyncio.sleep(every_s)


@contextlib.contextmanager
def running(folder: Path, *, users: Sequence[str] = (), audited: bool = False) -> Iterator[ApiServer]:
    """From nothing to ready, and back to nothing. `users` may do what the admin may, each with a token of its name."""
    client, peer, secure = free_ports(3)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signing = folder / "service-accounts.key"
    signing.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    tokens = {ADMIN_TOKEN: "admin", **{token_of(user): user for user in users}}
    (folder / "tokens.csv").write_text("".join(f'{t},{user},{user},"system:masters"\n' for t, user in tokens.items()))
    token_file = folder / "admin.token"
    token_file.write_text(ADMIN_TOKEN)
    etcd = [
        binaries() / "etcd", f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=error",
        f"--listen-client-urls=http://127.0.0.1:{client}", f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
    ]  # fmt: skip
    certs = folder / "certs"
    api = [
        binaries() / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{client}", f"--secure-port={secure}",
        "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--cert-dir={certs}",
        "--authorization-mode=RBAC", f"--token-auth-file={folder / 'tokens.csv'}",
        "--service-account-issuer=https://holdfast.test", f"--service-account-key-file={signing}",
        f"--service-account-signing-key-file={signing}", "--service-cluster-ip-range=10.0.0.0/16",
        "--disable-admission-plugins=ServiceAccount", "--v=0", *(_audit_to(folder) if audited else ()),
    ]  # fmt: skip
    processes: list[subprocess.Popen[bytes]] = []
    try:
        with (folder / "log").open("wb") as log:
            processes += (subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT) for argv in (etcd, api))
            url = f"https://127.0.0.1:{secure}"
            _wait(url, processes, folder / "log")
            yield _described(folder, url=url, certs=certs, token_file=token_file, processes=processes)
    finally:
        _kill(processes)


def token_of(user: str) -> str:
    return f"token-of-{user}"


def _audit_to(folder: Path) -> tuple[str, ...]:
    (folder / "audit-policy.yaml").write_text(yaml.safe_dump(AUDITED))
    return (f"--audit-policy-file={folder / 'audit-policy.yaml'}", f"--audit-log-path={folder / AUDIT_LOG}")


def _kill(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in reversed(processes):
        process.kill()
        process.wait(timeout=10)


def _wait(url: str, processes: list[subprocess.Popen[bytes]], log: Path) -> None:
    trusting = ssl._create_unverified_context()
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in processes):
            break
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            urllib.request.urlopen(f"{url}/readyz", context=trusting, timeout=2) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"kube-apiserver did not become ready:\n{log.read_text(errors='replace')[-2000:]}")


def _described(
    folder: Path, *, url: str, certs: Path, token_file: Path, processes: Sequence[subprocess.Popen[bytes]]
) -> ApiServer:
    ca_file = folder / "ca.crt"
    ca_file.write_bytes((certs / "apiserver.crt").read_bytes())
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": str(ca_file)}}],
        "users": [{"name": "admin", "user": {"token": ADMIN_TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
    }  # fmt: skip
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    return ApiServer(
        url=url, kubeconfig=kubeconfig, ca_file=ca_file, token_file=token_file, audit=folder / AUDIT_LOG,
        processes=tuple(processes),
    )  # fmt: skip
