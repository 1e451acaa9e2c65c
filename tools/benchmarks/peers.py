"""The tools that are compared: how each is installed, and what its commands are."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Tool:
    """One tool with one repository at a time. Every method that runs something takes a `run(argv, env, cwd)`."""

    name = "?"
    unlocks = True

    def __init__(self, binary, version):
        self.binary, self.version = binary, version

    def begin(self, home):
        """A new, empty repository with empty caches below `home`."""
        self.home, self.repository = home, home / "repository"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TMPDIR": str(home)}
        self.env |= {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "STATE", "DATA")}
        self.setup()

    def quiet(self, *argv, **more):
        done = subprocess.run([self.binary, *argv], env=self.env | more, capture_output=True, text=True, cwd=self.home)
        if done.returncode:
            raise RuntimeError(f"{self.name} {argv[0]}: exit {done.returncode}: {done.stderr.strip()[-500:]}")
        return done.stdout


class Boveda(Tool):
    name = "boveda"

    def setup(self):
        self.env["BOVEDA_REPOSITORY"] = str(self.repository)
        self.quiet("-q", "init", "--new-key-file", "key", "--recovery-key-file", "recovery")
        self.env["BOVEDA_KEY_FILE"] = str(self.home / "key")

    def snapshot(self, path, reread):
        return ["-q", "snapshot", *self.neighbour("snapshot"), *(["--full"] if reread else []), path]

    def neighbour(self, verb):
        # Priorities are the operator's choice, and no tool here gets less than the others.
        return ["--nice=off"] if "--nice" in self.quiet(verb, "--help") else []

    def restore(self, _, target):
        return ["-q", "restore", *self.neighbour("restore"), "latest", "--target", target]

    def restore_part(self, path, target):
        return ["-q", "restore", *self.neighbour("restore"), f"latest:{path}", "--target", target]

    def unlock(self):
        (self.home / "password").write_text("x\n")
        self.quiet("-q", "key", "slot", "add", "--new-password-file", "password")
        del self.env["BOVEDA_KEY_FILE"]
        self.env["BOVEDA_PASSWORD"] = "x"
        return ["-q", "snapshots"]


class Restic(Tool):
    def setup(self):
        self.env |= {"RESTIC_REPOSITORY": str(self.repository), "RESTIC_PASSWORD": "x"}
        self.quiet("-q", "init")

    def snapshot(self, path, reread):
        return ["-q", "backup", *(["--force"] if reread else []), path]

    def restore(self, _, target):
        return ["-q", "restore", "latest", "--target", target]

    def restore_part(self, path, target):
        return ["-q", "restore", f"latest:{path}", "--target", target]

    def unlock(self):
        return ["-q", "snapshots"]


class DebianRestic(Restic):
    name = "restic-debian"

    def restore_part(self, path, target):
        # It does not know folders in snapshots yet.
        return ["-q", "restore", "latest", "--include", path, "--target", target]


class NewRestic(Restic):
    name = "restic"


class Kopia(Tool):
    name = "kopia"

    def setup(self):
        self.env |= {"KOPIA_PASSWORD": "x", "KOPIA_CHECK_FOR_UPDATES": "false", "KOPIA_CONFIG_PATH": str(self.home / "kopia.config")}
        self.quiet("repository", "create", "filesystem", f"--path={self.repository}")
        # Without this it compresses nothing.
        self.quiet("policy", "set", "--global", "--compression=zstd")

    def snapshot(self, path, reread):
        return ["snapshot", "create", "--no-progress", *(["--force-hash=100"] if reread else []), path]

    def restore(self, _, target):
        listed = json.loads(self.quiet("snapshot", "list", "--json", "--all"))
        newest = max(listed, key=lambda entry: entry["startTime"])
        return ["restore", "--no-progress", newest["rootEntry"]["obj"], target]

    def unlock(self):
        return ["snapshot", "list"]


class Borg(Tool):
    name = "borg"

    def setup(self):
        self.env |= {"BORG_REPO": str(self.repository), "BORG_PASSPHRASE": "x", "BORG_BASE_DIR": str(self.home)}
        self.quiet("init", "--encryption=repokey-blake2")
        self.count = 0

    def snapshot(self, path, reread):
        self.count += 1
        return ["create", "--compression=zstd,3", *(["--files-cache=disabled"] if reread else []), f"::s{self.count}", path]

    def restore(self, _, target):
        return ["extract", f"::s{self.count}"]

    def unlock(self):
        return ["list"]


class Rustic(Tool):
    name = "rustic"

    def setup(self):
        self.env |= {"RUSTIC_REPOSITORY": str(self.repository), "RUSTIC_PASSWORD": "x", "RUSTIC_NO_PROGRESS": "true"}
        self.quiet("init")

    def snapshot(self, path, reread):
        return ["backup", *(["--force"] if reread else []), path]

    def restore(self, _, target):
        return ["restore", "latest", target]

    def unlock(self):
        return ["snapshots"]


class Bupstash(Tool):
    name = "bupstash"
    unlocks = False  # It knows raw keys only.

    def setup(self):
        self.env |= {"BUPSTASH_REPOSITORY": str(self.repository), "BUPSTASH_KEY": str(self.home / "key")}
        self.quiet("new-key", "-o", self.env["BUPSTASH_KEY"])
        self.quiet("init")
        self.count = 0

    def snapshot(self, path, reread):
        self.count += 1
        return ["put", "--quiet", *(["--no-stat-caching"] if reread else []), f"n={self.count}", path]

    def restore(self, _, target):
        return ["restore", "--quiet", "--into", target, f"n={self.count}"]


NAMES = ["restic-debian", "restic", "kopia", "borg", "rustic", "bupstash"]


def install(work, only):
    """Boveda of this checkout, and every peer that can be had here. Says which cannot, and why."""
    places = work / "peers"
    tools = [boveda(work)]
    ways = {
        "restic-debian": (DebianRestic, lambda: debian("restic")),
        "restic": (NewRestic, lambda: from_go(places, "restic", "github.com/restic/restic/cmd/restic", "v0.19.1")),
        "kopia": (Kopia, lambda: from_go(places, "kopia", "github.com/kopia/kopia", "v0.22.3")),
        "borg": (Borg, lambda: debian("borg", "borgbackup")),
        "rustic": (Rustic, lambda: from_cargo(places, "rustic-rs", "rustic")),
        "bupstash": (Bupstash, lambda: from_cargo(places, "bupstash", "bupstash", "pkg-config=pkg-config", "/usr/include/sodium.h=libsodium-dev")),
    }
    for name in only if only is not None else NAMES:
        if name not in ways:
            sys.exit(f"no such tool: {name}; there are {', '.join(NAMES)}")
        kind, way = ways[name]
        try:
            binary = way()
            tools.append(kind(binary, version([binary, "version" if "restic" in name else "--version"])))
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"left out: {name}: {error}", file=sys.stderr)
    return tools


@functools.cache
def build(places):
    places.mkdir(exist_ok=True)
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    # A copy: a build beside a long run must not change what is measured.
    return shutil.copy2(target / "release" / "boveda", places / "boveda")


def boveda(work):
    """The release build of this checkout."""
    binary = build(work / "peers")
    return Boveda(binary, version([binary, "version"]))


def version(argv):
    found = re.search(r"\d+\.\d+(\.\d+)?", subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    return found[0] if found else "?"


def debian(command, package=None):
    subprocess.run([ROOT / "tools" / "need", f"{command}={package or command}"], check=True)
    return shutil.which(command)


def from_go(places, name, package, release):
    """Built in a scratch module: both carry lines that `go install PACKAGE@VERSION` refuses. The newest release is named here
    when the published figures are taken anew, so that a table is not compared with one of another version unawares."""
    binary = places / name
    if not binary.exists():
        scratch = places / f"{name}-module"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        for argv in (["mod", "init", "scratch"], ["get", f"{package}@{release}"], ["build", "-o", binary, package]):
            subprocess.run(["go", *argv], cwd=scratch, check=True)
    return binary


def from_cargo(places, package, command, *needs):
    """`needs` are what Debian has to give first, as tools/need takes it."""
    binary = places / "cargo" / "bin" / command
    if not binary.exists():
        if needs:
            subprocess.run([ROOT / "tools" / "need", *needs], check=True)
        environment = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
        subprocess.run(["cargo", "install", "--locked", "--root", places / "cargo", package], check=True, env=environment)
    return binary
