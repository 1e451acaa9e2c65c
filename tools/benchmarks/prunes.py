"""tools/bench prune: how long deciding takes what can go, beside restic, on the same history."""

import random
import sys

import peers
import rounds
from report import machine

# Snapshots and files of each history; one file in a hundred changes from one snapshot to the next, and half of the snapshots are forgotten.
HISTORIES = [(1000, 10_000), (100, 100_000)]
AIM = 10


def main(options, work):
    tools = [tool for tool in peers.install(work, ["restic"]) if tool.name in ("boveda", "restic")]
    results = rounds.Results(tools, options.rounds or 3)
    histories = [(max(4, int(snapshots * options.share)), max(100, int(files * options.share))) for snapshots, files in HISTORIES]
    for snapshots, files in histories:
        name = f"{snapshots:,} snapshots of {files:,} files"
        tree = rounds.fresh(work / "run" / "tree")
        dice = random.Random(7)
        plant(tree, range(files), dice)
        for tool in tools:
            tool.begin(rounds.fresh(work / "run" / tool.name))
        for number in range(snapshots):
            if number:
                plant(tree, dice.sample(range(files), files // 100), dice)
            for tool in tools:
                rounds.measure([tool.binary, *tool.snapshot(str(tree), False)], tool.env, tool.home)
            if number % 50 == 49:
                print(f"{name}: {number + 1} taken", file=sys.stderr)
        for tool in tools:
            tool.quiet("-q", "forget", "--keep-last", str(snapshots // 2), *(["--yes-really"] if tool.name == "boveda" else []))
        for number in range(results.rounds):
            for tool in tools[number % 2 :] + tools[: number % 2]:
                rounds.warm(tool.repository)
                results.add(name, "decide", tool.name, **rounds.measure([tool.binary, "prune", "--dry-run"], tool.env, tool.home))
    text = table(results)
    print(text)
    (work / "benchmarks-prune.md").write_text(text)


def plant(tree, numbers, dice):
    """Writes these files anew: some hundred bytes each that do not compress away."""
    for number in numbers:
        folder = tree / f"{number // 100:04}"
        folder.mkdir(exist_ok=True)
        (folder / f"file-{number % 100:02}").write_bytes(dice.randbytes(dice.randrange(100, 900)))


def table(results):
    lines = [
        f"Measured on {results.started}, {machine()}. Medians of {results.rounds} rounds in one run, each tool in turn; the repositories are in the page",
        "cache. One file in a hundred changes from one snapshot to the next, and the older half of the snapshots is forgotten. Versions: "
        + ", ".join(f"{name} {version}" for name, version in results.versions.items()) + ".",
        "",
        "| history | boveda, s (CPU s, MiB) | restic, s (CPU s, MiB) | times restic | to reach |",
        "|---|---|---|---|---|",
    ]
    for name in results.figures:
        value = lambda tool, figure: results.median(name, "decide", tool, figure)
        cells = [f"{value(tool, 'wall'):.2f} ({value(tool, 'cpu'):.2f}, {value(tool, 'rss') / 2**20:.0f})" for tool in ("boveda", "restic")]
        lines.append(f"| {name} | {' | '.join(cells)} | {value('restic', 'wall') / value('boveda', 'wall'):.1f}× | {AIM}× |")
    return "\n".join(lines) + "\n"
