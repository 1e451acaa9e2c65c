//! How many requests each command takes of a place where each counts: so that they do not creep up again.

use std::fs;

use super::far::{Remote, noise, same};
use super::write;
use crate::servers::proxy::{Fate, Proxy};
use crate::servers::{Kind, Server};

/// A repository behind a line that notes what is asked.
struct Counted {
    remote: Remote,
    line: Proxy,
    told: usize,
}

impl Counted {
    fn init() -> Option<Self> {
        let server = Server::start(Kind::Minio)?;
        let line = Proxy::start(server.port, |_, _| Fate::Pass);
        let remote = Remote::init_at(server.location_at(line.port, "requests"), server);
        let told = line.seen().len();
        Some(Self { remote, line, told })
    }

    /// Runs a command, and holds it to so many requests.
    fn takes(&mut self, most: usize, arguments: &[&str]) -> Vec<String> {
        self.remote.run(arguments).ends(0);
        let mut asked = self.line.seen().split_off(self.told);
        self.told += asked.len();
        // Of a listing that is older than 30 seconds the log's second copies are not believed to be absent: on a slow machine.
        asked.retain(|line| !(line.contains("/log/") && line.contains(".2 ") && line.starts_with("GET ")));
        assert!(asked.len() <= most, "{arguments:?} takes {} requests, not {most}: {asked:#?}", asked.len());
        asked
    }
}

fn of<'a>(asked: &'a [String], method: &str) -> Vec<&'a String> {
    asked.iter().filter(|line| line.starts_with(method)).collect()
}

#[test]
fn commands_ask_seldom() {
    let Some(mut counted) = Counted::init() else { return };
    let src = counted.remote.place.path("src");
    for n in 0..200 {
        write(&src.join(format!("folder-{}/file-{n}", n % 7)), noise(40_000 + n * 97, n as u32));
    }
    write(&src.join("large"), noise(60 << 20, 99));
    std::thread::sleep(std::time::Duration::from_millis(3100));

    // A look, the session, a look, the log's end; packs, two indexes, the end; the log's end once more.
    let first = counted.takes(13, &["snapshot", "src"]);
    let packs = of(&first, "PUT").iter().filter(|line| line.contains("/requests/packs/")).count();
    assert!((3..=4).contains(&packs), "{first:#?}");
    // The folder above changes with every run, as the program's own folders lie in it: a pack with a page, and its index.
    counted.takes(6 + 2, &["snapshot", "src"]);
    write(&src.join("folder-3/file-3"), noise(50_000, 7));
    fs::remove_file(src.join("folder-2/file-2")).unwrap();
    counted.takes(9, &["snapshot", "src"]);

    // A look, the log's end, each pack once; and parts of the large file where a thread begins in the middle of its packs.
    counted.takes(2, &["snapshots"]);
    let back = counted.takes(2 + packs + 15, &["restore", "latest", "--target", "back"]);
    assert_eq!(of(&back, "GET").len(), back.len(), "{back:#?}");
    same(&src, &counted.remote.place.path(&format!("back{}", src.display())));

    // A look, an entry and its second copy.
    counted.takes(3, &["forget", "--keep-last", "1", "--yes-really"]);
    // A look; twice another with the log's end, skeletons and an entry with its second copy; between them a look for sessions, with the
    // log's end; the place's word on a pack, and one removal of all.
    counted.takes(20, &["prune"]);
    // Nothing of all that needs what this machine keeps.
    let bare = counted.takes(40, &["--no-cache", "snapshots"]);
    assert!(bare.iter().any(|line| line.contains("/config")), "{bare:#?}");
}

#[test]
fn packs_go_with_few_requests() {
    let Some(mut counted) = Counted::init() else { return };
    let src = counted.remote.place.path("src");
    for n in 0..6 {
        write(&src.join("file"), noise(700_000, n + 1));
        counted.takes(20, &["snapshot", "src"]);
    }
    counted.takes(3, &["forget", "--keep-last", "1", "--yes-really"]);
    let pruned = counted.takes(40, &["prune", "--exclusive"]);
    assert_eq!((of(&pruned, "DELETE").len(), of(&pruned, "POST").len()), (0, 1), "{pruned:#?}");
    counted.remote.run(&["verify", "--level", "full"]).ends(0);
}
