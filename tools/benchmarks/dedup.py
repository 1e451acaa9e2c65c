"""Sizes of chunks and segments on every data set, and what deltas save: the tables that the defaults are chosen from."""

import shutil
import subprocess
import sys

import data
import peers
import rounds


def run(names, work):
    """Prints a table for each data set, and writes them all to dedup.md."""
    build = ["cargo", "bench", "--locked", "--bench", "dedup"]
    subprocess.run([*build, "--no-run"], cwd=peers.ROOT, check=True)
    texts = []
    for name in names:
        tree = data.make(name, work)
        print(f"{name}: {tree.what}", file=sys.stderr)
        edit = once(tree, work)
        lines = [f"### {name}: {tree.what}", "", *sizes(build, tree, edit), "", *deltas(work, tree, edit)]
        texts.append("\n".join(lines))
        print(texts[-1], end="\n\n", flush=True)
    (work / "dedup.md").write_text("\n\n".join(texts) + "\n")


def once(tree, work):
    """Edits the tree, and remembers that this was done, as the other benchmarks do."""

    def edit():
        generation = len(list((work / "data").glob(f"{tree.name}.edit-*"))) + 1
        tree.edit(generation)
        (work / "data" / f"{tree.name}.edit-{generation}").touch()

    return edit


def sizes(build, tree, edit):
    with subprocess.Popen([*build, "--quiet", "--", tree.path], cwd=peers.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        if child.stdout.readline() != "ready\n":
            sys.exit("the bench dedup ended early")
        edit()
        child.stdin.write("\n")
        child.stdin.flush()
        lines = child.stdout.read().splitlines()
    if child.returncode:
        sys.exit("the bench dedup failed")
    return lines


def deltas(work, tree, edit):
    """What an edit adds to a repository with and without deltas, and what reading it back takes."""
    lines = ["| boveda | snapshot of the edit, s | added by it, MB | restore, s |", "|---|---|---|---|"]
    tools = {how: peers.boveda(work) for how in ("off", "auto")}
    for how, tool in tools.items():
        tool.begin(rounds.fresh(work / "run" / how))
        tool.env["BOVEDA_DELTA"] = how
        snapshot(tool, tree)
    edit()
    for how, tool in tools.items():
        before = rounds.stored(tool.repository)[0]
        edited = snapshot(tool, tree)
        added = rounds.stored(tool.repository)[0] - before
        target = rounds.fresh(work / "run" / "restored")
        argv = [tool.binary, "-q", "restore", f"latest:{tree.path}", "--target", str(target)]
        restored = rounds.measure(argv, tool.env, tool.home)
        different = subprocess.run(["diff", "-rq", "--no-dereference", tree.path, target], capture_output=True).stdout
        if different:
            sys.exit(f"{tree.name}, --delta {how}: restored otherwise: {different[:500]}")
        shutil.rmtree(target)
        lines.append(f"| --delta {how} | {edited['wall']:.1f} | {added / 1e6:.1f} | {restored['wall']:.1f} |")
    shutil.rmtree(work / "run")
    return lines


def snapshot(tool, tree):
    return rounds.measure([tool.binary, *tool.snapshot(str(tree.path), False)], tool.env, tool.home)
