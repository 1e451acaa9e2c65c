//! How much of the machine long verbs take: their priority, their threads, how fast they read.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::libc;

use super::{Place, write};
use crate::world::noise;

/// The niceness of a process, and the class that disks serve it in.
fn priority(child: &Child) -> (i64, i64) {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    // The name, in brackets, may hold blanks; niceness is the 19th field, the 17th after it.
    let niceness = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(16).unwrap().parse().unwrap();
    // SAFETY: two numbers in, one out; 1 stands for a process.
    let disk = unsafe { libc::syscall(libc::SYS_ioprio_get, 1, child.id()) };
    (niceness, disk >> 13)
}

/// The priority of a snapshot of standard input, while it waits for more.
fn priority_of(place: &Place, arguments: &[&str], variable: &str) -> (i64, i64) {
    let mut command = place.admin_command(["snapshot", "--stdin", "--stdin-filename", "/f"].iter().chain(arguments));
    command.env("BOVEDA_NICE", variable).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It reads only after it gave way, so that once this much is taken from the pipe, it did.
    child.stdin.as_mut().unwrap().write_all(&noise(1, 1 << 20)).unwrap();
    let found = priority(&child);
    assert!(child.wait_with_output().unwrap().status.success());
    found
}

#[test]
fn who_is_not_waited_for_gives_way() {
    let place = Place::init();
    // SAFETY: three numbers in, one out; 1 and 0 stand for this process.
    let own = (i64::from(rustix::process::getpriority_process(None).unwrap()), unsafe {
        libc::syscall(libc::SYS_ioprio_get, 1, 0)
    });
    let ours = (own.0, own.1 >> 13);
    let lower = (own.0.max(10), 3);
    assert_eq!(priority_of(&place, &[], ""), lower, "there is no terminal");
    assert_eq!(priority_of(&place, &["--nice=off"], "on"), ours, "a flag outranks a variable");
    assert_eq!(priority_of(&place, &[], "off"), ours);
    std::fs::write(place.path("off.toml"), "[limits]\nnice = 'off'\n").unwrap();
    assert_eq!(priority_of(&place, &["--config", "off.toml"], ""), ours);
    assert_eq!(priority_of(&place, &["--config", "off.toml"], "on"), lower, "a variable outranks the file");
}

fn time_of(place: &Place, arguments: &[&str]) -> Duration {
    let start = Instant::now();
    place.admin(arguments).ends(0);
    start.elapsed()
}

#[test]
fn reading_keeps_to_its_limit() {
    let place = Place::init();
    // Several workers, small files and large ones.
    (0..16).for_each(|n| write(&place.path(&format!("files/{n}")), noise(n, 128 << 10)));
    write(&place.path("files/large"), noise(99, 4 << 20));
    // 6 MiB in all.
    let slow = time_of(&place, &["snapshot", "files", "--limit-read", "3M"]);
    assert!((1_900..20_000).contains(&slow.as_millis()), "{slow:?}");
    // The same through a pipe, and from an archive.
    let archive = place.path("archive.tar");
    let mut tar = Command::new("tar");
    assert!(tar.arg("-cf").arg(&archive).arg("-C").arg(place.path("")).arg("files").status().unwrap().success());
    let slow = time_of(&place, &["import-tar", "archive.tar", "--limit-read", "3M"]);
    assert!((1_900..20_000).contains(&slow.as_millis()), "{slow:?}");
    let mut command = place.admin_command(["snapshot", "--stdin"]);
    let start = Instant::now();
    let run = super::Run::with_input(command.env("BOVEDA_LIMIT_READ", "3m/s"), &noise(7, 6 << 20));
    run.ends(0);
    assert!(start.elapsed() > Duration::from_millis(1_900));
}

#[test]
fn a_limited_run_still_stops_when_asked() {
    let place = Place::init();
    write(&place.path("files/large"), noise(3, 32 << 20));
    let mut command = place.admin_command(["snapshot", "files", "--limit-read", "64K"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until_reading(&child, &place.path("files/large"));
    let start = Instant::now();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(143), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(start.elapsed() < Duration::from_secs(60));
}

/// Waits until the process has the file open.
fn wait_until_reading(child: &Child, path: &Path) {
    let path = path.canonicalize().unwrap();
    let open = || {
        let files = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
        files.flatten().any(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == path))
    };
    let start = Instant::now();
    while !open() {
        assert!(start.elapsed() < Duration::from_secs(60), "it never opened {}", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The names of its threads, in order.
fn threads_of(child: &Child) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
    // One that ends meanwhile is none.
    let mut names: Vec<_> = tasks.flatten().filter_map(|task| name(task).ok()).collect();
    names.sort_unstable();
    names
}

#[test]
fn so_many_threads_work_as_were_asked_for() {
    let place = Place::init();
    write(&place.path("files/large"), noise(3, 8 << 20));
    let threads = |arguments: &[&str]| {
        let fixed = ["snapshot", "files", "--full", "--limit-read", "1M"];
        let mut command = place.admin_command(fixed.iter().chain(arguments));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until_reading(&child, &place.path("files/large"));
        // A thread that just began has its parent's name until it gives itself one.
        let (mut names, mut before) = (threads_of(&child), Vec::new());
        while names != before {
            std::thread::sleep(Duration::from_millis(200));
            before = std::mem::replace(&mut names, threads_of(&child));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // Those that only list directories ahead of the walk are told apart.
        let listing = names.iter().filter(|name| *name == "list\n").count();
        (names.len() - listing, listing)
    };
    let (one, nine) = (threads(&["--threads", "1"]), threads(&["--threads=9"]));
    assert_eq!((nine.0 - one.0, one.1, nine.1), (8, 0, 4));
    for verb in [&["verify", "--read-data"][..], &["restore", "latest", "--target", "to"]] {
        place.snapshot(&["files"], &["--threads", "1", "--tag", verb[0]]);
        place.admin(verb.iter().chain(&["--threads", "1", "--nice", "off"])).ends(0);
    }
}

#[test]
fn memory_is_told_without_a_repository() {
    let place = Place::new();
    let total = |arguments: &[&str]| {
        let run = place.run(["--json", "snapshot", "--debug-memory"].iter().chain(arguments)).ends(0);
        run.message("memory")["total_bytes"].as_u64().unwrap()
    };
    let (one, two) = (total(&["--threads", "1"]), total(&["--threads", "2"]));
    assert!(one < two && two < total(&["--threads", "2", "--pack-size", "64M"]), "{one} {two}");
    let run = place.run(["snapshot", "--debug-memory", "--threads", "3"]).ends(0);
    assert!(run.out.contains("a worker's small file (3 of 2.00 MiB)") && run.out.contains("in all"), "{run:?}");
}

#[test]
fn what_means_nothing_is_refused() {
    let place = Place::init();
    write(&place.path("f"), b"x");
    for wrong in [
        ["--threads", "0"],
        ["--threads", "many"],
        ["--nice", "very"],
        ["--limit-read", "0"],
        ["--limit-read", "fast"],
        ["--compression", "20"],
        ["--compression", "zip"],
    ] {
        place.admin(["snapshot", "f"].iter().chain(&wrong)).ends(2).says(wrong[0]);
    }
    for (variable, value) in [
        ("BOVEDA_THREADS", "0"),
        ("BOVEDA_NICE", "very\u{1b}[31m"),
        ("BOVEDA_LIMIT_READ", "1.5M"),
        ("BOVEDA_PAUSE_ON_BATTERY", "perhaps"),
        ("BOVEDA_COMPRESSION", "0"),
    ] {
        let mut command = place.admin_command(["snapshot", "f"]);
        let run = super::Run::of(command.env(variable, value)).ends(2).says(variable);
        assert!(!run.err.contains('\u{1b}'), "{run:?}");
    }
}

#[test]
fn how_hard_it_compressed_is_said() {
    let place = Place::init();
    let text: Vec<u8> =
        (0..200_000).flat_map(|n: u32| format!("{n} and {}\n", n.wrapping_mul(2_654_435_761)).into_bytes()).collect();
    let stored = |arguments: &[&str], n: u8| {
        // Other content each time, or there would be nothing to store.
        let other: Vec<u8> = text.iter().map(|byte| byte.wrapping_add(n)).collect();
        write(&place.path("files/text"), &other);
        let run = place.admin(["--json", "snapshot", "files"].iter().chain(arguments)).ends(0);
        let summary = run.message("summary");
        let text = |name: &str| summary[name].as_str().unwrap().to_owned();
        let number = |name: &str| summary[name].as_f64().unwrap();
        (text("compression"), number("compression_level"), number("data_added_packed"))
    };
    let (off, high) = (stored(&["--compression", "off"], 1), stored(&["--compression=high"], 2));
    assert_eq!((off.0.as_str(), off.1, high.0.as_str(), high.1), ("off", 0.0, "9", 9.0));
    assert!(off.2 > 2.0 * high.2, "{off:?} {high:?}");
    let auto = stored(&[], 3);
    assert!(auto.0 == "auto" && (1.0..=3.0).contains(&auto.1), "{auto:?}");
    std::fs::write(place.path("c.toml"), "[snapshot]\ncompression = 'fast'\n").unwrap();
    assert_eq!(stored(&["--config", "c.toml"], 4).1, 1.0);
    let mut command = place.admin_command(["-v", "snapshot", "files", "--full"]);
    write(&place.path("files/text"), &text);
    let run = super::Run::of(command.env("BOVEDA_COMPRESSION", "4")).ends(0);
    assert!(run.out.contains("at level 4.0 on average (--compression 4)"), "{run:?}");
}
