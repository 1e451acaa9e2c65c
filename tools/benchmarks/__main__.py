"""Reads the command line of tools/bench and runs it: data, tools, rounds, report."""

import argparse
import os
import sys
from pathlib import Path

import data
import dedup
import mounts
import peers
import prunes
import report
import rounds
import stores

QUICK = ["kernel", "noise-small"]
FULL = ["src", "incomp", "binaries", "small", "disk", "dumps"]


def main():
    options = parse()
    work = Path(options.work).resolve()
    work.mkdir(parents=True, exist_ok=True)
    if options.scale == "mount":
        return mounts.main(options, work)
    if options.scale == "prune":
        return prunes.main(options, work)
    if options.scale == "stores":
        return stores.main(options, work)
    wanted = options.only.split(",") if options.only else (QUICK if options.scale == "quick" else FULL)
    unknown = [name for name in wanted if name not in data.SETS]
    if unknown:
        sys.exit(f"no such data set: {', '.join(unknown)}; there are {', '.join(data.SETS)}")
    if options.scale == "dedup":
        return dedup.run(wanted, work)
    tools = peers.install(work, options.tools.split(",") if options.tools else None)
    count = options.rounds or (1 if options.scale == "quick" else 3)
    results = rounds.Results(tools, count)
    folder = Path(options.report).resolve() if options.report else work
    folder.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        tree = data.make(name, work)
        rounds.run(tree, tools, work, count, results)
        report.progress(results, name)
        # What is measured so far stays, if what follows is cut short.
        report.write(results, report.markdown(results), folder)
    rounds.unlock(tools, work, results)
    text = report.markdown(results)
    print(text)
    report.write(results, text, folder)
    print(f"\nWritten to {folder}: benchmarks.md, its pictures, and every figure in benchmarks.json", file=sys.stderr)


def parse():
    parser = argparse.ArgumentParser(prog="tools/bench", description="boveda beside its peers, in turn, on the same data, in one run")
    help = "which data sets, how many rounds (default: quick); dedup: sizes of chunks and segments; mount: the mount beside restic's; prune: deciding what can go; stores: an S3 server with a delay"
    parser.add_argument("scale", nargs="?", choices=["quick", "full", "dedup", "mount", "prune", "stores"], default="quick", help=help)
    default = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    parser.add_argument("--work", default=f"{default}/boveda-bench", metavar="DIR", help="where data, peers and repositories go; data and peers are kept for the next run")
    parser.add_argument("--only", metavar="SET,SET", help=f"these data sets: {', '.join(data.SETS)}")
    parser.add_argument("--tools", metavar="TOOL,TOOL", help=f"these tools beside boveda: {', '.join(peers.NAMES)}")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each tool does everything (default: 1 quick and stores, 3 full, 5 mount)")
    parser.add_argument("--million", action="store_true", help="with mount: also a snapshot of a million files")
    parser.add_argument("--share", type=float, default=1, metavar="PART", help="with prune: so much shorter histories, 0.1 for a tenth (default: 1)")
    parser.add_argument("--report", metavar="DIR", help="write the report there (default: --work)")
    return parser.parse_args()


main()
