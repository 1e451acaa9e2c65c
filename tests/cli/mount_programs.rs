//! Real programs over a mount, held against the source: what they say of the one they must say of the other.

use super::mount::{below, eventually, foreground, is_mounted, place, signal};
use super::privileged::is_root;
use super::restore::packs;
use super::{Run, write};
use nix::libc;
use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

/// Makes a folder with something for each program in it.
const SOURCE: &str = r#"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
mkdir -p "$S/git" "$S/deep/er/still" "$S/many"
if command -v git >/dev/null; then
    cd "$S/git"; git init -q; for n in 1 2 3 4 5 6; do seq $n 2000 > file-$n; done
    git add .; git -c user.name=x -c user.email=x@y commit -q -m first; git gc -q; seq 7 > file-7; git add .
    git -c user.name=x -c user.email=x@y commit -q -m second; cd - >/dev/null
fi
if command -v sqlite3 >/dev/null; then
    sqlite3 "$S/data.db" 'create table t (n, s); with recursive c(n) as (select 1 union all select n + 1 from c where n < 20000)
        insert into t select n, hex(n * n) from c; create index i on t (s);'
fi
for n in $(seq 300); do seq $n $((n * 3 + 1)) > "$S/many/$n"; done
head -c 3000000 /dev/zero | tr '\0' x > "$S/large"; seq 200000 >> "$S/large"
ln "$S/large" "$S/deep/er/also-large"; ln -s ../large "$S/deep/link"; ln -s nowhere "$S/deep/dangling"; mkfifo "$S/deep/pipe"
truncate -s 5M "$S/holes"; printf end >> "$S/holes"; : > "$S/empty"
chmod 640 "$S/many/1"; touch -d '1999-12-31 23:59:59.5' "$S/many/2"; touch -d '2001-02-03' "$S/deep/er"
setfattr -n user.colour -v green "$S/many/3" 2>/dev/null || :
"#;

/// What the programs say: `$1` is the folder.
const PROGRAMS: [(&str, &str); 9] = [
    (
        "git",
        r#"git -c safe.directory='*' --no-optional-locks -C "$1/git" status --porcelain; git -c safe.directory='*' -C "$1/git" log --oneline -p | md5sum"#,
    ),
    ("git", r#"git -c safe.directory='*' -C "$1/git" fsck --full --strict 2>&1; echo "ends with $?""#),
    (
        "sqlite3",
        r#"sqlite3 "file:$1/data.db?mode=ro" 'pragma integrity_check; select count(*), sum(n), max(s), (select n from t where s = hex(144)) from t'"#,
    ),
    ("tar", r#"tar -C "$1" --sort=name --format=gnu -cf - . | md5sum"#),
    (
        "find",
        r#"cd "$1"; find . -inum "$(stat -c %i large)" | sort; find . -printf '%P %y %m %U %G %T@ %l\n' | sort; find . ! -type d -printf '%P %n\n' | sort"#,
    ),
    (
        "du",
        r#"cd "$1"; du --apparent-size -b large holes git/* many/* | sort; test "$(du -k holes | cut -f1)" -lt 100"#,
    ),
    ("md5sum", r#"cd "$1"; find . -type f -print0 | xargs -0 -P 32 -n 4 md5sum | sort"#),
    ("getfattr", r#"cd "$1"; getfattr -R -d -m - . 2>/dev/null || :"#),
    (
        "cmp",
        r#"cd "$1"; for n in 1 7 300; do tail -c 100 "many/$n"; done; dd if=large bs=4096 skip=500 count=99 2>/dev/null | md5sum"#,
    ),
];

fn shell(script: &str, folder: &Path) -> Run {
    let mut command = Command::new("sh");
    command.args(["-uc", script, "sh"]).arg(folder).env("S", folder).env("LC_ALL", "C");
    Run::of(command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null"))
}

/// Whether a program is here; git, say, need not be.
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
fn has(program: &str) -> bool {
    let there = shell(&format!("command -v {program}"), Path::new("/")).code == 0;
    if !there {
        println!("skipped: there is no {program}");
    }
    there
}

#[test]
fn programs_see_no_difference_to_the_source() {
    let Some(place) = place() else { return };
    let source = place.path("source");
    shell(&format!("set -e\n{SOURCE}"), &source).ends(0);
    place.snapshot(&["source"], &[]);
    place.admin(["mount", "there"]).ends(0);
    let seen = place.path("there/latest").join(source.strip_prefix("/").unwrap()).canonicalize().unwrap();
    for (program, script) in PROGRAMS {
        if has(program) {
            let (before, now) = (shell(script, &source), shell(script, &seen));
            assert_eq!((before.code, now.code, &now.err), (0, 0, &before.err), "{script}:\n{}", now.out);
            assert!(!before.out.is_empty() || program == "getfattr", "{script}");
            assert_eq!(now.out, before.out, "{script}");
        }
    }
    if has("rsync") {
        for (from, to) in [(&seen, &source), (&source, &seen)] {
            let mut command = Command::new("rsync");
            command.args(["-aHAX", "--checksum", "--dry-run", "--itemize-changes", "--delete"]);
            let run = Run::of(command.arg(from.join("")).arg(to.join(""))).ends(0);
            assert_eq!(run.out, "", "from {} to {}", from.display(), to.display());
        }
    }
    let (before, now) = (File::open(source.join("large")).unwrap(), File::open(seen.join("large")).unwrap());
    // SAFETY: nobody writes to either file while it is mapped.
    let [before, now] = [before, now].map(|file| unsafe { memmap2::Mmap::map(&file) }.unwrap());
    assert!(before[..] == now[..] && before.iter().rev().step_by(5000).eq(now.iter().rev().step_by(5000)));
    // What is mapped is in use.
    drop((before, now));
    place.run(["umount", "there"]).ends(0);
}

#[test]
fn rounds_of_killing_leave_no_mount_and_no_process() {
    let Some(place) = place() else { return };
    let rounds = if std::env::var_os("BOVEDA_TEST_FULL").is_some() { 100 } else { 10 };
    for round in 0..rounds {
        let mut child = foreground(&place);
        let file = File::open(below(&place, "latest", "deep/b")).unwrap();
        let mut seen = [0; 16];
        file.read_exact_at(&mut seen, 1000 * round % 200_000).unwrap();
        signal(&child, "KILL");
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        // Whoever has something open gets errors, and does not hang.
        assert!(file.metadata().is_ok() || fs::read_dir(place.path("there")).is_err());
        drop(file);
        place.run(["umount", "there"]).ends(0);
        assert!(!is_mounted(&place));
    }
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!table.contains(place.path("there").to_str().unwrap()), "{table}");
    let mine = place.path("there");
    let processes =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let serving = processes
        .filter(|words| words.split(|byte| *byte == 0).any(|word| word == mine.as_os_str().as_encoded_bytes()));
    assert_eq!(serving.count(), 0);
}

#[test]
fn a_store_that_turns_into_rubbish_is_an_error_where_it_is_read() {
    let Some(place) = place() else { return };
    let noise: Vec<u8> = (0..4_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    write(&place.path("files/later"), &noise);
    place.snapshot(&["files"], &[]);
    place.admin(["mount", "there"]).ends(0);
    let later = below(&place, "latest", "later");
    assert_eq!(
        (fs::read(below(&place, "latest", "a")).unwrap(), later.metadata().unwrap().size()),
        (b"first".to_vec(), 4_000_000)
    );
    for pack in packs(&place) {
        let length = fs::metadata(&pack).unwrap().len();
        let mut permissions = fs::metadata(&pack).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
        fs::set_permissions(&pack, permissions).unwrap();
        fs::write(&pack, noise.iter().copied().cycle().take(length as usize).collect::<Vec<_>>()).unwrap();
    }
    let error = fs::read(&later).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(5), "{error}");
    // What is in memory is still there, and so is everything else.
    assert_eq!(fs::read(below(&place, "latest", "a")).unwrap(), b"first");
    assert!(fs::read_dir(place.path("there/by-time")).unwrap().count() > 0);
    let log = place.path("home/.local/state/boveda/mount.log");
    eventually("the reason is told", || fs::read_to_string(&log).is_ok_and(|log| log.contains("files/later")));
    place.run(["umount", "there"]).ends(0);
}

/// A file's handle, as an NFS server keeps it: it means the same file on another day.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    data: [u8; 128],
}

/// The handle of a file, which is not opened.
fn handle_of(path: &Path) -> Handle {
    let path = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    let (mut handle, mut mount) = (Handle { bytes: 128, kind: 0, data: [0; 128] }, 0);
    // SAFETY: the handle has room for as many bytes as it says, laid out as `struct file_handle`.
    let done =
        unsafe { libc::name_to_handle_at(libc::AT_FDCWD, path.as_ptr(), (&raw mut handle).cast(), &raw mut mount, 0) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    handle
}

/// The file behind a handle, on the file system of `mount`.
fn open_by_handle(mount: &File, handle: &mut Handle) -> std::io::Result<File> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the handle is as `handle_of` filled it, and the descriptor that comes back belongs to nobody else.
    unsafe {
        match libc::open_by_handle_at(mount.as_raw_fd(), (&raw mut *handle).cast(), flags) {
            -1 => Err(std::io::Error::last_os_error()),
            descriptor => Ok(File::from_raw_fd(descriptor)),
        }
    }
}

#[test]
fn file_handles_outlive_a_remount() {
    let Some(place) = is_root().then(place).flatten() else { return };
    place.admin(["mount", "there"]).ends(0);
    let paths = ["a", "deep/b", "deep"].map(|name| below(&place, "latest", name).canonicalize().unwrap());
    let mut handles = paths.each_ref().map(|path| (handle_of(path), fs::metadata(path).unwrap().ino()));
    for _ in 0..2 {
        place.run(["umount", "there"]).ends(0);
        place.admin(["mount", "there"]).ends(0);
        let top = File::open(place.path("there")).unwrap();
        for ((handle, inode), path) in handles.iter_mut().zip(&paths) {
            let file = open_by_handle(&top, handle).unwrap();
            assert_eq!(file.metadata().unwrap().ino(), *inode);
            if file.metadata().unwrap().is_file() {
                let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
                file.read_exact_at(&mut bytes, 0).unwrap();
                assert!(bytes == fs::read(path).unwrap());
            }
        }
    }
    place.run(["umount", "there"]).ends(0);
}
