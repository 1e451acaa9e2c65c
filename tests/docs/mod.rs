//! The pages tell the truth: every command line in README and docs runs as written, in a fresh home; links lead somewhere.
//! The tutorial runs as an ordinary user too.
//!
//! A block of commands is fenced as `sh` (a script) or `console` (commands after `$ `, the rest being output). What cannot run
//! here says so in its info string: `not-run: WHY`; `needs-fuse` runs where there is FUSE. `<!-- run: … -->` holds lines that
//! a reader is not shown, such as files that a page talks about. A page is one shell: variables stay from block to block.

mod page;

use page::{Page, Unfit};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Pages that must have something to run, so that this test cannot succeed by finding nothing.
const RUN: [&str; 17] = [
    "README.md",
    "docs/tutorial.md",
    "docs/guide.md",
    "docs/configuration.md",
    "docs/excludes.md",
    "docs/forget.md",
    "docs/from-borg.md",
    "docs/from-env.md",
    "docs/from-restic.md",
    "docs/inside.md",
    "docs/keys.md",
    "docs/look.md",
    "docs/prune.md",
    "docs/restore.md",
    "docs/snapshot.md",
    "docs/tidy.md",
    "docs/verify.md",
];

/// An ordinary user with a name on every machine, which mounting asks for: `nobody`.
const STRANGER: u32 = 65_534;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(top().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.push(top().join("README.md"));
    pages.sort();
    pages
}

fn name(page: &Path) -> String {
    page.strip_prefix(top()).unwrap().display().to_string()
}

/// Whether there is FUSE, which CI must have.
fn fuse() -> bool {
    let there = Path::new("/dev/fuse").exists();
    assert!(there || std::env::var_os("CI").is_none(), "/dev/fuse is needed for this test");
    there
}

/// Whether any user can mount.
fn fuse_for_all() -> bool {
    let open = fs::metadata("/dev/fuse").is_ok_and(|device| device.mode() & 0o006 == 0o006);
    open && Path::new("/usr/bin/fusermount3").exists()
}

/// A home with something to keep. Whatever is still mounted in it when it goes is taken away.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(TempDir::new().unwrap());
        for (file, text) in
            [("Documents/letter.txt", "Dear Ana,\n"), ("Documents/draft.tmp", ""), ("Pictures/a.jpg", "x")]
        {
            let path = home.0.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        home
    }

    /// Runs as whoever runs the tests.
    fn run(&self, script: &str) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_boveda")).parent().unwrap();
        self.shell(Command::new("sh"), program, script)
    }

    /// Runs as [`STRANGER`], who need not be able to look into the folder that the program was built in. Needs root.
    fn run_as_stranger(&self, script: &str) -> Output {
        let programs = self.0.path().join(".programs");
        fs::create_dir(&programs).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_boveda"), programs.join("boveda")).unwrap();
        let user = format!("{STRANGER}:{STRANGER}");
        assert!(Command::new("chown").args(["-R", &user]).arg(self.0.path()).status().unwrap().success());
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={STRANGER}"), format!("--regid={STRANGER}")]).args(["--clear-groups", "sh"]);
        self.shell(command, &programs, script)
    }

    fn shell(&self, mut shell: Command, program: &Path, script: &str) -> Output {
        let path = std::env::var("PATH").unwrap();
        shell.env_clear().env("HOME", self.0.path()).env("PATH", format!("{}:{path}", program.display()));
        shell.env("TZ", "UTC").env("LC_ALL", "C.UTF-8").current_dir(self.0.path()).stdin(Stdio::null());
        shell.args(["-c", script]).output().unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for point in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
            if Path::new(point).starts_with(self.0.path()) {
                // The test has failed already, and says why.
                let _ = Command::new(env!("CARGO_BIN_EXE_boveda")).args(["umount", "--lazy", point]).output();
            }
        }
    }
}

fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n{out}\n{err}", output.status)
}

/// Runs a page; what went wrong, if anything.
fn run(name: &str, text: &str, fuse: bool) -> Result<usize, String> {
    let page = Page::parse(text).map_err(|Unfit { line, reason }| format!("{name}:{line}: {reason}"))?;
    if page.commands(fuse) == 0 {
        return Ok(0);
    }
    let output = Home::new().run(&page.script(name, fuse));
    match output.status.success() {
        true => Ok(page.commands(fuse)),
        false => Err(format!("{name}: {}", said(&output))),
    }
}

#[test]
fn every_command_line_of_the_pages_runs_as_written() {
    let fuse = fuse();
    let run_one = |page: &PathBuf| {
        let name = name(page);
        let ran = run(&name, &fs::read_to_string(page).unwrap(), fuse);
        match ran {
            Ok(0) if RUN.contains(&name.as_str()) => Err(format!("{name} has nothing to run")),
            other => other,
        }
    };
    // Two at a time, as slow as the slowest.
    let pages = pages();
    let half = pages.len() / 2;
    let wrong = std::thread::scope(|scope| {
        let other = scope.spawn(|| pages[half..].iter().filter_map(|page| run_one(page).err()).collect::<Vec<_>>());
        let mut wrong: Vec<_> = pages[..half].iter().filter_map(|page| run_one(page).err()).collect();
        wrong.extend(other.join().unwrap());
        wrong
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_tutorial_runs_as_an_ordinary_user_too() {
    // Whoever is no root runs all pages as an ordinary user already.
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return;
    }
    let name = "docs/tutorial.md";
    let page = Page::parse(&fs::read_to_string(top().join(name)).unwrap()).unwrap();
    let script = page.script(name, fuse_for_all()) + "\nid -u";
    let output = Home::new().run_as_stranger(&script);
    assert!(output.status.success(), "{}", said(&output));
    assert!(output.stdout.ends_with(format!("\n{STRANGER}\n").as_bytes()), "{}", said(&output));
}

#[test]
fn a_page_that_lies_is_seen() {
    let block = |info: &str, text: &str| format!("# Page\n\n```{info}\n{text}\n```\n");
    assert_eq!(run("p", &block("sh", "test -f ~/Documents/letter.txt\nboveda version"), true), Ok(1));
    for (text, part) in [
        (block("sh", "true\nfalse\ntrue"), "p:3"),
        (block("sh", "boveda snapshot"), "p:3"),
        (block("console", "$ boveda frobnicate\nsome output"), "frobnicate"),
        (block("sh", "echo $NOT_SET"), "NOT_SET"),
        (block("sh not-run", "x"), "p:3: say why"),
        (block("sh not-run:", "x"), "p:3: say why"),
        (block("sh maybe", "x"), "p:3: unknown"),
        (block("", "boveda version"), "p:3: commands"),
        ("```sh\nnever closed\n".to_owned(), "p:1: "),
    ] {
        let error = run("p", &text, true).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
    for skipped in ["sh not-run: needs root", "toml", ""] {
        assert_eq!(run("p", &block(skipped, "false"), true), Ok(0), "{skipped}");
    }
    assert_eq!(run("p", &block("sh needs-fuse", "false"), false), Ok(0));
    assert!(run("p", &block("sh needs-fuse", "false"), true).is_err());
    // Output of a console block is not run; what a reader is not shown is.
    assert_eq!(run("p", "<!-- run: X=1 -->\n```console\n$ test $X = 1\nfalse\n```\n", true), Ok(1));
}

#[test]
fn every_configuration_on_the_pages_is_right() {
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for block in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let home = Home::new();
            fs::write(home.0.path().join("c.toml"), block).unwrap();
            let output = home.run("boveda --config c.toml config check");
            assert!(output.status.success(), "{}: {}", name(&page), String::from_utf8_lossy(&output.stderr));
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (target, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if target.is_empty() { page.clone() } else { page.parent().unwrap().join(target) };
            let there = target.exists()
                && (heading.is_empty()
                    || anchors(&fs::read_to_string(&target).unwrap()).any(|anchor| anchor == heading));
            if !there {
                broken.push(format!("{}: {link}", name(&page)));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:?}");
}

/// What headings are called in links: small letters, hyphens between words, nothing else.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let mut code = false;
    let headings = text.lines().filter(move |line| {
        code ^= line.starts_with("```");
        !code && line.starts_with('#')
    });
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        heading.chars().filter(|char| char.is_alphanumeric() || matches!(char, '-' | '_')).collect()
    };
    headings.map(anchor).collect::<Vec<String>>().into_iter()
}

#[test]
fn headings_are_found_by_their_links() {
    let text = "# Page\n\n```sh\n# no heading\n```\n\n## One file: `dump`\n";
    assert_eq!(anchors(text).collect::<Vec<_>>(), ["page", "one-file-dump"]);
}

#[test]
fn the_index_names_every_page() {
    let index = fs::read_to_string(top().join("docs/README.md")).unwrap();
    let inside = |page: &PathBuf| page.parent().is_some_and(|folder| folder.ends_with("docs"));
    for page in pages().iter().filter(|page| inside(page)) {
        let file = page.file_name().unwrap().to_str().unwrap();
        assert!(file == "README.md" || index.contains(&format!("]({file})")), "docs/README.md does not name {file}");
    }
}
