"""tools/bench stores: boveda beside restic and rustic on one S3 server with a delay on the line to it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import data
import peers
import rounds
from disk import empty
from line import Line
from report import machine

DELAY = 0.020
PHASES = ["first", "unchanged", "edited", "restore", "prune"]
AIM = 2
# Where each request of each run is noted.
REQUESTS = "benchmarks-stores-requests.txt"
USER, SECRET, BUCKET = "AKTESTTEST", "SKTESTTEST", "backups"


class Boveda(peers.Boveda):
    def place(self, port, prefix):
        return f"s3://{BUCKET}/{prefix}?endpoint=http://127.0.0.1:{port}&region=us-east-1"

    def setup(self):
        self.env |= {"BOVEDA_REPOSITORY": self.place(self.port, self.prefix), "AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": SECRET}
        self.quiet("-q", "init", "--new-key-file", "key", "--recovery-key-file", "recovery")
        self.env["BOVEDA_KEY_FILE"] = str(self.home / "key")

    def prune(self):
        # The others lock the repository for it.
        return [["-q", "forget", "--keep-last", "1", "--yes-really"], ["-q", "prune", "--exclusive"]]


class Restic(peers.Restic):
    name = "restic"

    def setup(self):
        self.env |= {"RESTIC_REPOSITORY": f"s3:http://127.0.0.1:{self.port}/{BUCKET}/{self.prefix}", "RESTIC_PASSWORD": "x"}
        self.env |= {"AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
        self.quiet("-q", "init")

    def prune(self):
        return [["-q", "forget", "--keep-last", "1"], ["-q", "prune"]]


class Rustic(peers.Rustic):
    def setup(self):
        self.env |= {"RUSTIC_REPOSITORY": "opendal:s3", "RUSTIC_PASSWORD": "x", "RUSTIC_NO_PROGRESS": "true"}
        options = {"bucket": BUCKET, "root": f"/{self.prefix}", "endpoint": f"http://127.0.0.1:{self.port}", "region": "us-east-1"}
        options |= {"access_key_id": USER, "secret_access_key": SECRET}
        profile = "[repository.options]\n" + "".join(f'{name} = "{value}"\n' for name, value in options.items())
        (self.home / "rustic.toml").write_text(profile)
        self.quiet("init")

    def prune(self):
        return [["forget", "--keep-last", "1"], ["prune", "--instant-delete"]]


KINDS = {"boveda": Boveda, "restic": Restic, "rustic": Rustic}


def main(options, work):
    binaries = peers.install(work, options.tools.split(",") if options.tools else ["restic", "rustic"])
    tools = [KINDS[tool.name](tool.binary, tool.version) for tool in binaries if tool.name in KINDS]
    results = rounds.Results(tools, options.rounds or 1)
    (work / REQUESTS).unlink(missing_ok=True)
    for name in options.only.split(",") if options.only else ["kernel"]:
        tree = data.make(name, work)
        results.what[name] = tree.what
        for number in range(results.rounds):
            play(tree, tools[number % len(tools) :] + tools[: number % len(tools)], work, number, results)
    text = "".join(table(results, name) for name in results.what)
    print(text)
    (work / "benchmarks-stores.md").write_text(text)


def play(tree, tools, work, number, results):
    server, port = minio(rounds.fresh(work / "run" / "minio"))
    noted = open(work / REQUESTS, "a")
    try:
        line = Line(port, DELAY)
        for tool in tools:
            tool.port, tool.prefix = line.port, f"{tree.name}-{tool.name}"
            tool.begin(rounds.fresh(work / "run" / tool.name))
        generation = len(list((work / "data").glob(f"{tree.name}.edit-*")))
        rounds.warm(tree.path)
        for phase in PHASES:
            if phase == "edited":
                generation += 1
                tree.edit(generation)
                (work / "data" / f"{tree.name}.edit-{generation}").touch()
            for tool in tools:
                print(f"{tree.name}, round {number + 1} of {results.rounds}, {phase}: {tool.name}", file=sys.stderr)
                line.reset()
                figures = once(tree, tool, phase, work)
                asked = dict(line.requests)
                noted.write(f"{tree.name}, round {number + 1}, {phase}: {tool.name}\n" + "".join(f"{note}\n" for note in line.notes) + "\n")
                results.add(tree.name, phase, tool.name, **figures, requests=sum(asked.values()), up=line.up, down=line.down)
                print(f"    {figures['wall']:.2f} s, {asked}, {line.up / 1e6:.1f} MB up, {line.down / 1e6:.1f} MB down", file=sys.stderr)
    finally:
        noted.close()
        server.terminate()
        server.wait()
    shutil.rmtree(work / "run")


def once(tree, tool, phase, work):
    if phase == "restore":
        with empty(work / "run") as target:
            return rounds.measure([tool.binary, *tool.restore(tree.path, str(target))], tool.env, tool.home)
    if phase == "prune":
        runs = [rounds.measure([tool.binary, *argv], tool.env, tool.home) for argv in tool.prune()]
        return {"wall": sum(run["wall"] for run in runs), "cpu": sum(run["cpu"] for run in runs), "rss": max(run["rss"] for run in runs)}
    return rounds.measure([tool.binary, *tool.snapshot(str(tree.path), False)], tool.env, tool.home)


def minio(folder):
    """A server of its own, and its port. In a folder that is empty a bucket is a folder."""
    subprocess.run([peers.ROOT / "tools" / "servers"], check=False)
    binary = Path(os.environ.get("TEST_SERVERS", Path.home() / ".cache/boveda-test-servers")) / "bin/minio"
    if not binary.exists():
        sys.exit(f"no MinIO at {binary}: tools/servers says why")
    (folder / "data" / BUCKET).mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": SECRET}
    with open(folder / "log", "wb") as log:
        argv = [binary, "server", str(folder / "data"), "--address", f"127.0.0.1:{port}", "--quiet"]
        server = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    for _ in range(200):
        try:
            if urllib.request.urlopen(f"http://127.0.0.1:{port}/minio/health/cluster").status == 200:
                return server, port
        except OSError:
            time.sleep(0.1)
    server.kill()
    sys.exit(f"MinIO does not answer: {(folder / 'log').read_text(errors='replace')}")


def table(results, name):
    lines = [
        f"Measured on {results.started}, {machine()}. {results.what[name]} MinIO on the same machine and disk, its answers {DELAY * 1000:.0f} ms late.",
        f"Medians of {results.rounds} rounds, each tool in turn. In brackets: times boveda's. To reach: {AIM}× in time, and fewer requests. Versions: "
        + ", ".join(f"{tool} {version}" for tool, version in results.versions.items()) + ".",
        "",
        "| | tool | s | CPU s | requests | MB up | MB down | peak MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for phase in PHASES:
        for tool in results.versions:
            value = lambda figure, tool=tool: results.median(name, phase, tool, figure)
            times = lambda figure, tool=tool: "" if tool == "boveda" else f" [{value(figure) / max(value(figure, 'boveda'), 1e-9):.1f}×]"
            lines.append(
                f"| {phase} | {tool} | {value('wall'):.2f}{times('wall')} | {value('cpu'):.1f} | {value('requests'):,.0f}{times('requests')} | "
                f"{value('up') / 1e6:.1f} | {value('down') / 1e6:.1f} | {value('rss') / 2**20:.0f} |"
            )
    return "\n".join(lines) + "\n\n"
