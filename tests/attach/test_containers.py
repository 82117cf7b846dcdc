# SPDX-License-Identifier: Apache-2.0
"""docs/containers.md: its manifests are what Kubernetes takes, and what they grant is enough, no more and no less."""
import json
import os
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest

import pythons
from daemon import Memattachd
from readers import python_with
from target import baseline
from test_where import only_child
from unharmed import Unharmed

DOCS = Path(__file__).resolve().parents[2] / "docs"
DEPLOY = DOCS / "deploy"
# all that a container runtime gives to a container of its own
SPACES = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--ipc", "--uts")
VERSIONS = ("1.30", "1.33", "1.37")
VALIDATE = """
import json, sys, kubernetes_validate, yaml
documents = list(yaml.safe_load_all(open(sys.argv[1])))
for d in documents if len(sys.argv) > 2 else ():
    for version in sys.argv[2:]:
        try:
            kubernetes_validate.validate(d, version, strict=True)
        except kubernetes_validate.ValidationError as e:
            sys.exit(f"{version}: {e.message}")
json.dump(documents, sys.stdout)
"""


@pytest.fixture(scope="module")
def load():
    own = types.SimpleNamespace(path=sys.executable)
    python = python_with(own, "kubernetes", "kubernetes-validate", "pyyaml", modules="kubernetes_validate, yaml")

    def run(path, *versions):
        done = subprocess.run([str(python), "-c", VALIDATE, str(path), *versions], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)
    return run


def grants(context):
    """The capabilities of a container with this securityContext, for setpriv."""
    assert context["capabilities"]["drop"] == ["ALL"] and context["runAsUser"] == 0
    return bounded(context["capabilities"]["add"])


def bounded(names):
    kept = ",".join(f"+{name.lower()}" for name in names)
    return ("setpriv", "--bounding-set", f"-all,{kept}", "--inh-caps", "-all", "--no-new-privs")


def daemonset(load):
    return next(d for d in load(DEPLOY / "daemonset.yaml", *VERSIONS) if d["kind"] == "DaemonSet")["spec"]["template"]["spec"]


def test_daemonset(load):
    documents = load(DEPLOY / "daemonset.yaml", *VERSIONS)
    assert [d["kind"] for d in documents] == ["Namespace", "ConfigMap", "DaemonSet"]
    name = documents[0]["metadata"]["name"]
    assert {d["metadata"]["namespace"] for d in documents[1:]} == {name}
    spec = daemonset(load)
    container, = spec["containers"]
    assert spec["hostPID"] and {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in spec["volumes"]}
    sources = spec["volumes"][0]["projected"]
    assert sources["defaultMode"] == 0o400
    files = [item["path"] for s in sources["sources"] for item in next(iter(s.values()))["items"]]
    assert sorted(files) == ["ca.crt", "clients", "server.crt", "server.key"], "all that memattachd reads, and no key of the CA"
    assert sources["sources"][1]["configMap"]["name"] == documents[1]["metadata"]["name"]
    port = container["ports"][0]
    assert port["containerPort"] == port["hostPort"] == 7433 and "0.0.0.0:7433" in container["args"]


def test_a_wrong_manifest_is_seen(load, tmp_path):
    """What the test above would say of one."""
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((DEPLOY / "daemonset.yaml").read_text().replace("hostPID:", "hostPIDs:"))
    with pytest.raises(AssertionError, match="hostPIDs"):
        load(wrong, *VERSIONS)


def test_debug_container(load, tmp_path):
    part, = load(DEPLOY / "debug-container.yaml")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {
        "containers": [{"name": "app", "image": "app"}],
        "ephemeralContainers": [{"name": "debugger", "image": "memattach", "targetContainerName": "app", "stdin": True, "tty": True, **part}]}}
    whole = tmp_path / "pod.yaml"
    whole.write_text(json.dumps(pod))
    load(whole, *VERSIONS)


def test_clients_of_the_config_map(load, memattach, daemon):
    clients = load(DEPLOY / "daemonset.yaml")[1]["data"]["clients"]
    d = daemon(clients.splitlines())
    f = d.connect()
    f.greet()
    f.close()
    d.end()


@pytest.fixture
def container(start, one_python, need_root):
    """A target in namespaces of its own, as a container runtime makes them; it is pid 1 there."""
    t = start(one_python, "idle", wrap=SPACES, pid_of=only_child)
    for space in ("user", "pid", "mnt", "net", "ipc", "uts"):
        assert os.readlink(f"/proc/{t.pid}/ns/{space}") != os.readlink(f"/proc/self/ns/{space}")
    return t


def test_attached_from_outside(container, memattach):
    with Unharmed(container):
        snap = memattach.snapshot(container.pid)
    assert snap.counts().get("__main__.Thing") == 12345
    assert container.end_well()[:2]


def test_by_the_debug_container(load, container, memattach):
    """With the pids of the target and the rights of the manifest; without SYS_PTRACE it is refused."""
    part, = load(DEPLOY / "debug-container.yaml")
    enter = ("nsenter", f"--user=/proc/{container.pid}/ns/user", f"--pid=/proc/{container.pid}/ns/pid", "unshare", "--mount", "--mount-proc")
    path = memattach.folder / "app.mem"
    with Unharmed(container):
        done = memattach.run(1, "-o", path, "--json", wrap=(*enter, *grants(part["securityContext"])))
    assert done.rc == 0, done
    assert json.loads(done.out)["pid"] == 1 and memattach.run("check", path).rc == 0
    done = memattach.run(1, wrap=(*enter, *bounded(["chown"])))
    assert done.rc == 4 and "CAP_SYS_PTRACE" in done.err, done
    container.end_well()


def attached_by(memattach, d, t):
    path = memattach.folder / "app.mem"
    pair = ("--ca", d.dir / "ca.crt", "--cert", d.dir / "client.crt", "--key", d.dir / "client.key")
    try:
        with Unharmed(t):
            done = memattach.run(d.url(t.pid), "-o", path, "--json", *pair)
        assert done.rc == 0 and json.loads(done.out)["pid"] == t.pid, (done, d.log())
        d.end()
    finally:
        d.close()
    assert memattach.run("check", path).rc == 0
    t.end_well()


def test_by_the_daemon_set(load, container, memattach):
    """With what the manifest grants memattachd starts, becomes nobody, and attaches to a process of a container."""
    spec, = daemonset(load)["containers"]
    attached_by(memattach, Memattachd(memattach, wrap=grants(spec["securityContext"])), container)


def commands():
    """The command lines of docs/containers.md that run a container by Docker."""
    text = (DOCS / "containers.md").read_text()
    return [shlex.split(line) for line in text.splitlines() if line.startswith("docker run")]


def test_by_docker(container, memattach):
    """The same with the capabilities of the command line for Docker."""
    one, = (c for c in commands() if "memattachd" in c)
    assert one[one.index("--cap-drop") + 1] == "ALL"
    add = [one[i + 1] for i, word in enumerate(one) if word == "--cap-add"]
    attached_by(memattach, Memattachd(memattach, wrap=bounded(add)), container)


def test_docker_commands_are_ours(memattach):
    """What they run is understood: the options are there."""
    for words in commands():
        at = next(i for i, word in enumerate(words) if word in ("memattach", "memattachd") and words[i - 1] == "memattach")
        program = str(Path(memattach.path).parent / words[at])
        said = subprocess.run([program, "--help"], capture_output=True, text=True).stdout
        assert said and all(word in said or word == "-o" for word in words[at + 1:] if word.startswith("-")), words


def test_dockerfile(memattach):
    """It installs what the programs are linked with, and builds with what tools/setup names."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    build, run = (set(re.sub(r"&&.*", "", p).split()) for p in re.findall(r"install -y --no-install-recommends (.*)", text))
    wanted = set(re.findall(r"[a-z0-9.+-]+", (DOCS.parent / "tools" / "setup").read_text()))
    assert build <= wanted, build - wanted
    if not os.path.exists("/etc/debian_version"):
        pytest.skip("not a Debian system")
    program = Path(memattach.path)
    for name in (program, program.parent / "memattachd"):
        linked = subprocess.run(["readelf", "-d", name], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"NEEDED.*\[(.*)\]", linked):
            path = subprocess.run(f"ldd {name} | awk '$1 == \"{library}\" {{print $3}}'", shell=True, capture_output=True, text=True).stdout.strip()
            owner = subprocess.run(["dpkg", "-S", path, os.path.realpath(path), path.removeprefix("/usr")], capture_output=True, text=True).stdout
            packages = {line.split(":")[0] for line in owner.splitlines()}
            assert packages & (run | {"libc6", "libgcc-s1"}), (library, packages)


SLIM = """set -e
mount -t tmpfs none /mnt
cd /mnt
mkdir upper work root
mount -t overlay overlay -o lowerdir="$1",upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
for d in /proc /dev /tmp "$2"; do mkdir -p "root$d"; mount --rbind "$d" "root$d"; done
find root/bin/ root/usr/bin/ \\( -name '*sh' -o -name busybox -o -name env \\) -exec rm -f {} +
shift 2
exec chroot root "$@"
"""


def test_slim_image_on_an_overlay(one_python, start, memattach, need_root):
    """The root of a container as a runtime makes it, of layers, and no shell in it."""
    trees = [p for p in pythons.supported() if p.tree and not p.debug]
    if not trees:
        pytest.skip("no tree of tools/pythons")
    python = trees[0]
    inside = types.SimpleNamespace(id=python.id, path=python.path, wrap=(*SPACES, "sh", "-c", SLIM, "sh", python.tree, str(DOCS.parent)))
    t = start(inside, "idle", pid_of=only_child)
    root = f"/proc/{t.pid}/root"
    assert not any(os.path.lexists(f"{root}/{name}") for name in ("bin/sh", "bin/bash", "bin/dash"))
    assert " / / " in "".join(line for line in open(f"/proc/{t.pid}/mountinfo") if " - overlay " in line)
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
        stacks = memattach.run("stacks", t.pid, "--native", "--json")
    assert snap.counts().get("__main__.Thing") == 12345
    assert stacks.rc == 0 and any("PyEval" in (f["function"] or "") for th in json.loads(stacks.out)["threads"] for f in th["native"])
    t.end_well()


def test_container_with_a_root_of_its_own(python, start, memattach, need_root):
    """Root file systems that debootstrap made (tools/pythons), in all namespaces."""
    if not getattr(python, "wrap", ()):
        pytest.skip("a Python of this machine")
    inside = types.SimpleNamespace(id=python.id, path=python.path, wrap=(*SPACES, *python.wrap))
    t = start(inside, "idle", pid_of=only_child)
    assert os.readlink(f"/proc/{t.pid}/root") != "/"
    with Unharmed(t):
        snap = memattach.snapshot(t.pid)
    assert snap.counts().get("__main__.Thing") == 12345
    t.end_well(baseline(python, "idle")[:2])
