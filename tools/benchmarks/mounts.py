"""tools/bench mount: boveda's mount beside restic's, in turn, on the same data in the same run."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import data
import peers
import rounds
from report import machine

MIB = 1 << 20
SMALL_READS = 1000
RANDOM_READS = 2000
PATIENCE = 15  # Seconds that one row of single reads may take; the rate is what counts.

PEERS = ["restic-debian", "restic"]

# Row, unit, whether more is better, and the times of restic that boveda is to reach.
ROWS = {
    "cold": ("first read from front to back", "MiB/s", True, 6),
    "again": ("second read", "MiB/s", True, 30),
    "find": ("`find -ls` of all", "s", False, 10),
    "small": (f"{SMALL_READS:,} small files in any order", "files/s", True, 4),
    "random": ("4 KiB anywhere, cold", "reads/s", True, 10),
    "copy": ("`cp -r` of the small files", "s", False, None),
    "restore": ("`restore` of the same", "s", False, None),
    "memory": ("peak memory of the mount", "MiB", False, None),
    "top": ("mount, and list the top of a million files", "s", False, None),
    "walk": ("`find` through a million files", "s", False, None),
    "walked": ("peak memory of that mount", "MiB", False, None),
}


def main(options, work):
    """Everything: data, repositories, rounds, table."""
    million = options.million
    tools = peers.install(work, PEERS)
    tree = data.make("mounted", work)
    results = rounds.Results(tools, options.rounds or 5)
    for tool in tools:
        begin(tool, work, tree.path)
    for number in range(results.rounds):
        measure_plain(work, tree.path, results)
        for tool in tools[number % len(tools) :] + tools[: number % len(tools)]:
            print(f"round {number + 1} of {results.rounds}: {tool.name}", file=sys.stderr)
            measure_tool(tool, work, tree.path, results)
    if million:
        many = data.make("million", work)
        for tool in tools:
            begin(tool, work, many.path)
            for _ in range(min(results.rounds, 3)):
                measure_million(tool, work, many.path, results)
    text = table(results)
    print(text)
    (work / "benchmarks-mount.md").write_text(text)
    shutil.rmtree(work / "run")


def begin(tool, work, path):
    tool.begin(rounds.fresh(work / "run" / tool.name))
    print(f"{tool.name}: a snapshot of {path}", file=sys.stderr)
    rounds.measure([tool.binary, *tool.snapshot(str(path), False)], tool.env, tool.home)


class Mount:
    """A fresh mount, so with cold caches of its own and of the kernel; the repository is in the page cache."""

    def __init__(self, tool, work, path):
        self.tool, self.place = tool, work / "run" / "mounted"
        self.place.mkdir(parents=True, exist_ok=True)
        rounds.warm(tool.repository)
        own = ["--foreground"] if tool.name == "boveda" else []
        argv = [tool.binary, "mount", *own, self.place]
        self.started = time.monotonic()
        self.process = subprocess.Popen(argv, env=tool.env, cwd=tool.home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        latest = "latest" if tool.name == "boveda" else "snapshots/latest"
        self.tree = Path(f"{self.place}/{latest}{path}")

    def __enter__(self):
        while not os.path.ismount(self.place):
            if self.process.poll() is not None or time.monotonic() - self.started > 120:
                raise RuntimeError(f"{self.tool.name} does not mount")
            time.sleep(0.002)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        subprocess.run(["fusermount3", "-uz", self.place], stderr=subprocess.DEVNULL)

    def peak(self):
        """The most memory it had, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure_tool(tool, work, path, results):
    add = lambda row, value: results.add("mount", row, tool.name, value=value)
    with Mount(tool, work, path) as mount:
        add("cold", read_through(mount.tree / "large"))
        add("again", read_through(mount.tree / "large"))
        first = mount.peak()
    with Mount(tool, work, path) as mount:
        add("find", timed(["find", str(mount.tree), "-ls"]))
        add("small", read_small(mount.tree / "small", results.rounds))
        add("memory", max(first, mount.peak()))
    with Mount(tool, work, path) as mount:
        add("random", read_anywhere(mount.tree / "large"))
    target = rounds.fresh(work / "run" / "copied")
    with Mount(tool, work, path) as mount:
        add("copy", timed(["cp", "-r", str(mount.tree / "small"), str(target)]))
    same(path / "small", target / "small")
    target = rounds.fresh(work / "run" / "copied")
    argv = tool.restore_part(str(path / "small"), str(target))
    add("restore", timed([tool.binary, *argv], env=tool.env, cwd=tool.home))
    shutil.rmtree(target)


def measure_plain(work, path, results):
    """What the file system of this machine does from its page cache: the ceiling."""
    add = lambda row, value: results.add("mount", row, "ext4", value=value)
    rounds.warm(path)
    add("again", read_through(path / "large"))
    add("find", timed(["find", str(path), "-ls"]))
    add("small", read_small(path / "small", results.rounds))
    add("random", read_anywhere(path / "large"))
    target = rounds.fresh(work / "run" / "copied")
    add("copy", timed(["cp", "-r", str(path / "small"), str(target)]))
    shutil.rmtree(target)


def measure_million(tool, work, path, results):
    with Mount(tool, work, path) as mount:
        os.listdir(mount.tree)
        results.add("mount", "top", tool.name, value=time.monotonic() - mount.started)
        results.add("mount", "walk", tool.name, value=timed(["find", str(mount.tree), "-ls"]))
        results.add("mount", "walked", tool.name, value=mount.peak())


def timed(argv, **more):
    start = time.monotonic()
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True, **more)
    return time.monotonic() - start


def read_through(path):
    """MiB a second from front to back."""
    buffer = bytearray(MIB)
    total, start = 0, time.monotonic()
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            total += count
    return total / MIB / (time.monotonic() - start)


def read_small(folder, seed):
    """Files a second: each opened, read and closed, of those a `find` has seen."""
    names = [f"{folder}/{at // 100:03}/note-{at % 100:03}" for at in random.Random(seed).sample(range(data.MOUNTED_FILES), SMALL_READS)]
    start = time.monotonic()
    for done, name in enumerate(names, 1):
        file = os.open(name, os.O_RDONLY)
        os.read(file, 1 << 16)
        os.close(file)
        if time.monotonic() - start > PATIENCE:
            break
    return done / (time.monotonic() - start)


def read_anywhere(path):
    """Reads a second of 4 KiB at places that nothing foretells."""
    dice = random.Random(7)
    blocks = os.path.getsize(path) // 4096
    file = os.open(path, os.O_RDONLY)
    start = time.monotonic()
    for done in range(1, RANDOM_READS + 1):
        os.pread(file, 4096, dice.randrange(blocks) * 4096)
        if time.monotonic() - start > PATIENCE:
            break
    os.close(file)
    return done / (time.monotonic() - start)


def same(a, b):
    subprocess.run(["diff", "-r", a, b], check=True)


def table(results):
    """A row for each kind of work: the medians, the range of boveda's, and how many times each restic's it is."""
    value = lambda row, tool: results.median("mount", row, tool, "value")
    lines = [
        f"Measured on {results.started}, {machine()}. Medians of {results.rounds} rounds in one run, each with fresh mounts; the repository",
        "is in the page cache. In brackets: the slowest and the fastest round. Versions: "
        + ", ".join(f"{name} {version}" for name, version in results.versions.items()) + ".",
        "",
        "| | boveda | " + " | ".join(f"{peer} (times)" for peer in PEERS) + " | ext4 | to reach |",
        "|---|---|" + "---|" * len(PEERS) + "---|---|",
    ]
    for row, (what, unit, more, goal) in ROWS.items():
        ours = value(row, "boveda")
        if ours is None:
            continue
        all_ours = [run["value"] for run in results.figures["mount"][row]["boveda"]]
        cells = [f"{what}, {unit}", f"{shown(ours)} ({shown(min(all_ours))}–{shown(max(all_ours))})"]
        for peer in PEERS:
            theirs = value(row, peer)
            cells.append("" if theirs is None else f"{shown(theirs)} ({(ours / theirs if more else theirs / ours):.1f}×)")
        cells += [shown(value(row, "ext4")), f"{goal}×" if goal else ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def shown(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
