"""Prints the figures: tables of medians and ratios, pictures of the ratios, and every number as JSON."""

import json
import os
import platform
import sys

from rounds import PHASES

UNITS = {"wall": "s", "cpu": "CPU s", "rss": "MiB", "size": "MB", "added": "MB", "objects": ""}


def progress(results, data_set):
    print(table(results, data_set), file=sys.stderr)


def markdown(results):
    lines = [
        f"Measured on {results.started}, {machine()}. Medians of {results.rounds} rounds in one run; every tool in turn, phase by phase.",
        "In brackets: how many times boveda's figure. boveda's repository carries parity, the others' none.",
        "",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in results.versions.items()) + ".",
    ]
    for data_set in results.what:
        lines += ["", f"## {data_set}: {results.what[data_set]}", "", table(results, data_set), "", f"![Times of the peers as multiples of boveda's](benchmarks/{data_set}.svg)"]
    unlocks = results.figures["unlock"]["unlock"]
    if unlocks:
        lines += ["", "## Unlocking with a password", "", "| tool | s |", "|---|---|"]
        lines += [f"| {tool} | {results.median('unlock', 'unlock', tool, 'wall'):.2f} |" for tool in unlocks]
    if results.failures:
        lines += ["", "## What failed", ""] + [f"- {failure}" for failure in results.failures]
    return "\n".join(lines) + "\n"


def table(results, data_set):
    """A row for each tool; a column for each phase with wall clock and CPU seconds, then peak memory, size and objects."""
    head = ["tool"] + [f"{phase}, s (CPU s)" for phase in PHASES] + ["peak MiB", "stored MB", "added by the edit MB", "objects"]
    tools = list(dict.fromkeys(tool for phase in PHASES for tool in results.figures[data_set][phase]))
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for tool in tools:
        cells = [tool]
        for phase in PHASES:
            wall, cpu = (results.median(data_set, phase, tool, figure) for figure in ("wall", "cpu"))
            cells.append("" if wall is None else f"{wall:.2f} ({cpu:.1f}){ratio(results, data_set, phase, tool, 'wall')}")
        peaks = [run["rss"] for phase in PHASES for run in results.figures[data_set][phase][tool]]
        cells.append(f"{max(peaks) / (1 << 20):.0f}" if peaks else "")
        for phase, figure, scale in (("first", "size", 1e6), ("edited", "added", 1e6), ("edited", "objects", 1)):
            value = results.median(data_set, phase, tool, figure)
            cells.append("" if value is None else f"{value / scale:,.{1 if scale > 1 else 0}f}{ratio(results, data_set, phase, tool, figure)}")
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def ratio(results, data_set, phase, tool, figure):
    ours, theirs = (results.median(data_set, phase, name, figure) for name in ("boveda", tool))
    return f" [{theirs / ours:.2f}×]" if tool != "boveda" and ours and theirs is not None else ""


def picture(results, data_set):
    """Bars of each peer's wall clock as a multiple of boveda's, one group for each phase. The line stands at 1."""
    rows = []
    for phase in PHASES:
        ours = results.median(data_set, phase, "boveda", "wall")
        for tool in results.figures[data_set][phase]:
            theirs = results.median(data_set, phase, tool, "wall")
            if tool != "boveda" and ours and theirs:
                rows.append((phase, tool, theirs / ours))
    most = max((times for _, _, times in rows), default=1)
    scale = 560 / max(most, 1)
    height = 18 * len(rows) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="820" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="820" height="{height}" fill="white"/>',
    ]
    last = None
    for index, (phase, tool, times) in enumerate(rows):
        y = 10 + index * 18
        if phase != last:
            parts.append(f'<text x="4" y="{y + 12}" font-weight="bold">{phase}</text>')
            last = phase
        colour = "#3a6ea5" if times >= 1 else "#b5523b"
        parts.append(f'<text x="170" y="{y + 12}" text-anchor="end">{tool}</text>')
        parts.append(f'<rect x="176" y="{y + 2}" width="{max(times * scale, 1):.1f}" height="13" fill="{colour}"/>')
        parts.append(f'<text x="{180 + times * scale:.1f}" y="{y + 12}">{times:.1f}×</text>')
    parts.append(f'<line x1="{176 + scale:.1f}" y1="6" x2="{176 + scale:.1f}" y2="{height - 16}" stroke="black" stroke-dasharray="3"/>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def write(results, text, folder):
    (folder / "benchmarks.md").write_text(text)
    (folder / "benchmarks").mkdir(exist_ok=True)
    for data_set in results.what:
        (folder / "benchmarks" / f"{data_set}.svg").write_text(picture(results, data_set))
    (folder / "benchmarks.json").write_text(json.dumps({"machine": machine(), "versions": results.versions, "figures": results.figures}, indent=1))


def machine():
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    return f"{os.cpu_count()} cores of {names[0] if names else 'an unnamed processor'}, {memory >> 20} GiB, Linux {platform.release()}"
