"""What runs in a region and with which settings: pure rendering of files and command lines.

It starts nothing. Inside its mount namespace a region sees its own folder as `/run/holdfast`, so that no path depends
on where the project lies and no socket path grows too long.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from holdfast_gameday.lab import dns, names
from holdfast_gameday.lab.names import RegionNames

HOME: Final = "/run/holdfast"
ETC: Final = f"{HOME}/etc"
AUDIT_LOG: Final = "audit.log"
CONTAINERD_SOCKET: Final = "/run/containerd/containerd.sock"
USERS: Final[dict[str, tuple[str, str]]] = {  # file name -> (user, group) of its token
    "admin": ("lab-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", "system:masters"),
    "scheduler": ("system:kube-scheduler", "system:masters"),
    "proxy": ("system:kube-proxy", "system:masters"),
    "dns": ("lab-dns", "system:masters"),
    "entry": ("lab-entry", "system:masters"),
}


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a region. `after_api` ones are started when the API server says it is ready."""

    name: str
    argv: tuple[str, ...]
    after_api: bool = False
    log: str = ""

    def as_json(self) -> dict[str, object]:
        return {"name": self.name, "argv": list(self.argv), "afterApi": self.after_api,
                "log": self.log or f"{HOME}/log/{self.name}.log"}


def kubeconfig(*, server: str, ca_file: str, users: Mapping[str, str], current: str) -> str:
    """One context per user: `users` maps a context's name to its token."""
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": current,
        "clusters": [{"name": "here", "cluster": {"server": server, "certificate-authority": ca_file}}],
        "users": [{"name": name, "user": {"token": token}} for name, token in users.items()],
        "contexts": [{"name": name, "context": {"cluster": "here", "user": name}} for name in users],
    }, indent=1)


def token_file(region: RegionNames, tokens: Mapping[str, str]) -> str:
    everyone = USERS | {"kubelet": (f"system:node:{region.name}", "system:nodes")}
    return "".join(f'{tokens[name]},{user},{user},"{group}"\n' for name, (user, group) in everyone.items())


def kubelet_config(region: RegionNames) -> str:
    return json.dumps({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs", "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [], "failSwapOn": False, "failCgroupV1": False, "oomScoreAdj": 0,
        "podLogsDir": f"{HOME}/log/pods", "volumePluginDir": f"{HOME}/volume-plugins",
        "clusterDNS": [region.ip], "clusterDomain": names.CLUSTER_DOMAIN, "resolvConf": f"{ETC}/resolv.conf",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}", "imageServiceEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False},
                           "x509": {"clientCAFile": f"{ETC}/ca.crt"}},
        "authorization": {"mode": "AlwaysAllow"},
        "healthzBindAddress": "127.0.0.1", "serializeImagePulls": False,
        # A full disk of the machine is no reason to evict a pod from a lab that lives for minutes.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"},
    }, indent=1)


def containerd_config() -> str:
    return f"""\
version = 3
root = "{HOME}/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.blockfile", "io.containerd.nri.v1.nri"]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.metadata.v1.bolt"]
  no_sync = true
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
    conf_dir = "{ETC}/cni"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = "/usr/sbin/runc"
      SystemdCgroup = false
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "localhost/pause:dev"
"""


def cni_config(region: RegionNames) -> str:
    """Pods are routed, not bridged: then a Service's answer always passes the node, and no kernel module is needed."""
    return json.dumps({
        "cniVersion": "1.0.0", "name": "holdfast-lab",
        "plugins": [{
            "type": "ptp", "ipMasq": False,
            "ipam": {"type": "host-local", "dataDir": "/run/cni-addresses",
                     "ranges": [[{"subnet": region.pod_range}]], "routes": [{"dst": "0.0.0.0/0"}]},
        }, {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}],
    }, indent=1)


def audit_policy() -> str:
    """What pods write is recorded: who, what, which object. Leases are left out, for they are renewed all the time."""
    return json.dumps({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "verbs": ["get", "list", "watch"]},
            {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
            {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
            {"level": "None"},
        ],
    }, indent=1)


def files(region: RegionNames, tokens: Mapping[str, str]) -> dict[str, str]:
    """Everything in the region's `etc` folder that is text of ours, by relative path."""
    local = {"server": "https://127.0.0.1:6443", "ca_file": f"{ETC}/ca.crt"}
    texts = {
        f"{name}.kubeconfig": kubeconfig(**local, users={name: tokens[name]}, current=name)
        for name in (*USERS, "kubelet")
    }
    texts["tokens.csv"] = token_file(region, tokens)
    texts["kubelet.json"] = kubelet_config(region)
    texts["containerd.toml"] = containerd_config()
    texts["cni/10-holdfast.conflist"] = cni_config(region)
    texts["audit.json"] = audit_policy()
    texts["resolv.conf"] = f"nameserver {region.ip}\n"
    texts["lab.zone"] = dns.zone(names.HOSTS)
    texts["Corefile"] = dns.corefile(ip=region.ip, kubeconfig=f"{ETC}/dns.kubeconfig", context="dns",
                                     zone_file=f"{ETC}/lab.zone", cluster_domain=names.CLUSTER_DOMAIN)
    return texts


def processes(region: RegionNames, *, binaries: Path, python: str) -> list[Process]:
    def program(name: str) -> str:
        return str(binaries / name)

    def with_config(name: str) -> str:
        return f"--kubeconfig={ETC}/{name}.kubeconfig"

    return [
        Process("etcd", (
            program("etcd"), f"--name={region.name}", f"--data-dir={HOME}/etcd", "--unsafe-no-fsync",
            "--log-level=warn",
            "--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            f"--initial-cluster={region.name}=http://127.0.0.1:2380",
        )),
        Process("containerd", (program("containerd"), "--config", f"{ETC}/containerd.toml", "--log-level=warn")),
        Process("apiserver", _apiserver(region, program("kube-apiserver"))),
        Process("controller-manager", (
            program("kube-controller-manager"), with_config("controller-manager"), "--leader-elect=false",
            "--secure-port=0", f"--service-account-private-key-file={ETC}/accounts.key", f"--root-ca-file={ETC}/ca.crt",
            "--controllers=*,-horizontal-pod-autoscaler-controller,-certificatesigningrequest-signing-controller",
        ), after_api=True),
        Process("scheduler", (
            program("kube-scheduler"), with_config("scheduler"), "--leader-elect=false", "--secure-port=0",
        ), after_api=True),
        Process("kubelet", (
            program("kubelet"), with_config("kubelet"), f"--config={ETC}/kubelet.json", f"--root-dir={HOME}/kubelet",
            f"--hostname-override={region.name}", f"--node-ip={region.ip}", f"--cert-dir={HOME}/kubelet-certs",
            f"--node-labels=topology.kubernetes.io/region={region.name}",
        ), after_api=True),
        Process("proxy", (
            program("kube-proxy"), with_config("proxy"), "--proxy-mode=iptables", f"--hostname-override={region.name}",
            f"--cluster-cidr={region.pod_range}", "--iptables-min-sync-period=100ms",
            "--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ), after_api=True),
        Process("dns", (program("coredns"), "-conf", f"{ETC}/Corefile"), after_api=True),
        Process("entry", (python, "-m", "holdfast_gameday.lab.entry", "--home", HOME, "--bind", f"{region.ip}:443"),
                after_api=True),
    ]


def _apiserver(region: RegionNames, program: str) -> tuple[str, ...]:
    return (
        program, "--etcd-servers=http://127.0.0.1:2379", f"--advertise-address={region.ip}", "--secure-port=6443",
        f"--tls-cert-file={ETC}/apiserver.crt", f"--tls-private-key-file={ETC}/apiserver.key",
        f"--token-auth-file={ETC}/tokens.csv", "--authorization-mode=Node,RBAC",
        f"--service-account-issuer={region.server}", f"--service-account-key-file={ETC}/accounts.key",
        f"--service-account-signing-key-file={ETC}/accounts.key", f"--service-cluster-ip-range={names.SERVICE_RANGE}",
        f"--kubelet-client-certificate={ETC}/kubelet-client.crt", f"--kubelet-client-key={ETC}/kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP", "--profiling=false", "--event-ttl=2h",
        f"--audit-policy-file={ETC}/audit.json", f"--audit-log-path={HOME}/log/{AUDIT_LOG}",
    )
