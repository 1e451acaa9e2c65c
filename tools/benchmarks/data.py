"""The data sets: how each is made, and how one edit of about one percent changes it."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

MIB = 1 << 20


@dataclass
class DataSet:
    """A tree below `path`; `edit(generation)` changes about one percent of it, each time otherwise."""

    name: str
    what: str
    path: Path
    edit: Callable[[int], None]


def make(name, work):
    """The data set, made below `work` unless an earlier run left it there complete."""
    what, fill, edit = SETS[name]
    path = work / "data" / name
    complete = work / "data" / f"{name}.complete"
    if not complete.exists():
        print(f"making the data set {name}: {what}", file=sys.stderr)
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        fill(path, work)
        complete.touch()
    return DataSet(name, what, path, lambda generation: edit(path, generation))


def releases(count):
    """The newest `count` kernel releases that Debian's servers have, unpacked side by side."""

    def fill(path, work):
        known = subprocess.run(["apt-cache", "madison", "linux-source-6.1"], capture_output=True, text=True, check=True).stdout
        versions = list(dict.fromkeys(line.split("|")[1].strip() for line in known.splitlines()))
        if len(versions) < count:
            sys.exit(f"apt knows {len(versions)} versions of linux-source-6.1, and {count} are needed: run apt-get update")
        # Spread over what there is: neighbours differ in little more than a date.
        picked = [versions[index * (len(versions) - 1) // max(count - 1, 1)] for index in range(count)]
        archives = work / "archives"
        archives.mkdir(exist_ok=True)
        for version in picked:
            archive = archives / f"linux-source-6.1_{version}_all.deb"
            if not archive.exists():
                subprocess.run(["apt-get", "download", "-q", f"linux-source-6.1={version}"], cwd=archives, check=True, stdout=subprocess.DEVNULL)
            unpack(archive, path / version)

    return fill


def unpack(archive, into):
    """The kernel tree inside a Debian package."""
    into.mkdir()
    deb = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE)
    inner = subprocess.Popen(["tar", "-xO", "./usr/src/linux-source-6.1.tar.xz"], stdin=deb.stdout, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-xJ", "--strip-components=1", "-C", into], stdin=inner.stdout, check=True)
    if deb.wait() or inner.wait():
        sys.exit(f"{archive} cannot be unpacked")


def noise(total, files):
    def fill(path, _):
        for index in range(files):
            with open(path / f"noise-{index}", "wb") as file:
                for _ in range(total // files // MIB):
                    file.write(os.urandom(MIB))

    return fill


def binaries(path, _):
    """What Debian installs: programs and libraries, in a copy that no update changes."""
    for folder in ("/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/gcc", "/usr/libexec"):
        if os.path.isdir(folder):
            (path / folder.strip("/")).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", folder, path / folder.strip("/")], check=True)


def small(path, _):
    """200,000 files of 100 to 4,000 bytes of text, 200 in a folder."""
    dice = random.Random(1)
    words = [f"{dice.getrandbits(40):x}" for _ in range(2000)]
    for folder in range(1000):
        (path / f"{folder:03}").mkdir()
        for index in range(200):
            length = int(dice.paretovariate(1.2) * 100)
            text = f"{folder} {index} " + " ".join(dice.choices(words, k=max(1, min(length, 4000) // 9)))
            (path / f"{folder:03}" / f"note-{index:03}.txt").write_text(text)


def disk(path, _):
    """The image of a machine's disk: an archive of programs, noise and zeros between, some of it twice."""
    image = path / "disk.img"
    with open(image, "wb") as file:
        for folder in ("/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/bin"):
            archive = subprocess.Popen(["tar", "-c", "-b", "8", folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            shutil.copyfileobj(archive.stdout, file, MIB)
            archive.wait()
            file.write(os.urandom(128 * MIB))
            file.seek(256 * MIB, os.SEEK_CUR)
        file.truncate(file.tell())


MOUNTED_FILES = 20_000


def mounted(path, _):
    """What the mount is measured on: 1 GiB of which every page is half noise, half words; and small files, 100 in a folder."""
    dice = random.Random(2)
    words = " ".join(f"{dice.getrandbits(24):x}" for _ in range(100_000)).encode()
    with open(path / "large", "wb", buffering=MIB) as file:
        for page in range(1024 * MIB // 4096):
            start = page * 37 % (len(words) - 2048)
            file.write(dice.randbytes(2048) + words[start : start + 2048])
    for index in range(MOUNTED_FILES):
        folder = path / "small" / f"{index // 100:03}"
        folder.mkdir(parents=True, exist_ok=True)
        length = int(512 * 32 ** dice.random())
        start = dice.randrange(len(words) - 16384)
        (folder / f"note-{index % 100:03}").write_bytes(b"%d " % index + words[start : start + length])


def million(path, _):
    """A million files of a few bytes, a thousand in a folder."""
    for folder in range(1000):
        (path / f"{folder:03}").mkdir()
        for index in range(1000):
            (path / f"{folder:03}" / f"item-{index:03}").write_bytes(b"%d\n" % (folder * 1000 + index))


ROWS = 4_000_000


def dumps(path, _):
    write_dump(path / "dump.sql", 0)


def write_dump(file, generation):
    """A dump of one table. Each generation changes one row of a hundred, scattered: what a day's work leaves in a database."""
    with open(f"{file}.new", "w", buffering=MIB) as out:
        out.write("COPY public.orders (id, customer, placed, state, amount, note) FROM stdin;\n")
        for row in range(ROWS):
            changed = max((g for g in range(1, generation + 1) if (row * 2654435761 + g * 40503) % 4294967296 % 100 == 0), default=0)
            mark = hashlib.blake2b(f"{row} {changed}".encode(), digest_size=18).hexdigest()
            out.write(f"{row}\t{int(mark[:5], 16)}\t2026-{row % 12 + 1:02}-{row % 28 + 1:02} {row % 24:02}:{row % 60:02}\t{('open', 'paid', 'sent')[row % 3]}\t{int(mark[5:9], 16) / 100:.2f}\t{mark[9:]}\n")
        out.write("\\.\n")
    os.replace(f"{file}.new", file)


def edit_files(path, generation):
    """One file of a hundred gets a line more."""
    for folder, _, files in os.walk(path):
        for name in files:
            file = os.path.join(folder, name)
            if hash_of(file, generation) % 100 == 0 and os.path.isfile(file) and not os.path.islink(file):
                with open(file, "ab") as out:
                    out.write(b"\n/* edited %d */\n" % generation)


def edit_in_place(path, generation):
    """One percent of every file's 64 KiB blocks is written anew, each in the first 4 KiB."""
    for file in sorted(path.iterdir()):
        dice = random.Random(f"{file.name} {generation}")
        with open(file, "r+b") as out:
            blocks = file.stat().st_size // 65536
            for block in dice.sample(range(blocks), max(1, blocks // 100)):
                out.seek(block * 65536)
                out.write(dice.randbytes(4096))


def edit_dump(path, generation):
    write_dump(path / "dump.sql", generation)


def hash_of(name, generation):
    return int.from_bytes(hashlib.blake2b(f"{name} {generation}".encode("utf-8", "surrogateescape"), digest_size=4).digest(), "big")


SETS = {
    "kernel": ("one Debian linux-source-6.1 release, unpacked", releases(1), edit_files),
    "src": ("four Debian linux-source-6.1 releases, unpacked", releases(4), edit_files),
    "noise-small": ("512 MiB of random bytes in 8 files", noise(512 * MIB, 8), edit_in_place),
    "incomp": ("2 GiB of random bytes in 8 files", noise(2048 * MIB, 8), edit_in_place),
    "binaries": ("programs and libraries of a Debian system", binaries, edit_files),
    "small": ("200,000 files of 100 to 4,000 bytes", small, edit_files),
    "disk": ("the image of a disk, edited in place in scattered blocks", disk, edit_in_place),
    "mounted": ("1 GiB in one file, and 20,000 files of 0.5 to 16 KiB", mounted, edit_files),
    "million": ("1,000,000 files of a few bytes", million, edit_files),
    "dumps": ("the dump of a database table, 1 % of its rows changed by an edit", dumps, edit_dump),
}
