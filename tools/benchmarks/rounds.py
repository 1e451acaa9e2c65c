"""Runs all tools in turn on a data set, phase by phase, and keeps what each run took."""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict

import disk

PHASES = ["first", "unchanged", "edited", "re-read", "restore"]


class Results:
    """Every figure: `figures[data set][phase][tool]` is a list of dicts, one for each round."""

    def __init__(self, tools, rounds):
        self.versions = {tool.name: tool.version for tool in tools}
        self.rounds = rounds
        self.started = time.strftime("%Y-%m-%d")
        self.what = {}
        self.figures = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
        self.failures = []

    def add(self, data_set, phase, tool, **figures):
        self.figures[data_set][phase][tool].append(figures)

    def median(self, data_set, phase, tool, figure):
        values = [run[figure] for run in self.figures[data_set][phase][tool] if figure in run]
        return statistics.median(values) if values else None


def measure(argv, env, cwd):
    """Wall clock and CPU seconds, and the peak of resident memory, of one command. What it prints is kept for an error."""
    os.sync()
    log = cwd / "output"
    with open(log, "wb") as output:
        start = time.monotonic()
        child = subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"exit {child.returncode}: {log.read_text(errors='replace').strip()[-500:]}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss * 1024}


def run(tree, tools, work, rounds, results):
    results.what[tree.name] = tree.what
    generation = len(list((work / "data").glob(f"{tree.name}.edit-*")))
    for number in range(rounds):
        # Whoever comes first finds colder caches: the order turns from round to round.
        order = tools[number % len(tools) :] + tools[: number % len(tools)]
        warm(tree.path)
        alive = []
        for tool in order:
            home = fresh(work / "run" / tool.name)
            if attempt(results, tree, tool, "begin", lambda: tool.begin(home)):
                alive.append(tool)
        for phase in PHASES:
            if phase == "edited":
                generation += 1
                tree.edit(generation)
                (work / "data" / f"{tree.name}.edit-{generation}").touch()
            for tool in list(alive):
                print(f"{tree.name}, round {number + 1} of {rounds}, {phase}: {tool.name}", file=sys.stderr)
                if not attempt(results, tree, tool, phase, lambda: once(tree, tool, phase, work, results)):
                    alive.remove(tool)
            if phase == "restore":
                with disk.empty(work / "run") as target:
                    figures = measure(["cp", "-a", str(tree.path), str(target)], dict(os.environ), work / "run")
                results.add(tree.name, phase, "cp -a", **figures)
            if phase == "unchanged":
                listing = fresh(work / "run" / "find")
                results.add(tree.name, phase, "find", **measure(["find", str(tree.path), "-printf", "%s %T@ %C@ %i %p\\n"], dict(os.environ), listing))
        shutil.rmtree(work / "run")


def once(tree, tool, phase, work, results):
    if phase == "restore":
        # What wrote past the page cache has not left its repository there, and what read it last has.
        warm(tool.repository)
        with disk.empty(work / "run") as target:
            figures = measure([tool.binary, *tool.restore(tree.path, str(target))], tool.env, target if tool.name == "borg" else tool.home)
    else:
        before = stored(tool.repository)
        figures = measure([tool.binary, *tool.snapshot(str(tree.path), phase == "re-read")], tool.env, tool.home)
        after = stored(tool.repository)
        figures |= {"size": after[0], "objects": after[1], "added": after[0] - before[0]}
    results.add(tree.name, phase, tool.name, **figures)


def unlock(tools, work, results):
    """What a password costs, on an empty repository: it is in none of boveda's figures above, and in the peers' at most once a run."""
    for number in range(3):
        for tool in tools:
            if tool.unlocks:
                tool.begin(fresh(work / "run" / tool.name))
                argv = tool.unlock()
                results.add("unlock", "unlock", tool.name, **measure([tool.binary, *argv], tool.env, tool.home))
    shutil.rmtree(work / "run")


def attempt(results, tree, tool, phase, action):
    """Whether it went well; a tool that fails is left out of the rest of the round, and the report says so."""
    try:
        action()
        return True
    except RuntimeError as error:
        if tool.name == "boveda":
            raise
        results.failures.append(f"{tree.name}, {phase}: {tool.name}: {error}")
        return False


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def warm(path):
    subprocess.run("find . -type f -print0 | xargs -0 cat >/dev/null", shell=True, cwd=path, check=True)


def stored(repository):
    """Bytes and objects of a repository on disk."""
    sizes = [os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(repository) for name in names]
    return sum(sizes), len(sizes)
