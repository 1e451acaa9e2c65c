//! What counts as a configuration, what is refused, and that errors tell line and cure and never a secret.

use super::*;
use crate::ops::neighbour::{Limits, Nice};
use crate::secrets::Origin;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const FULL: &str = r#"
default_repository = "home"
cache_dir = "~/cache"

[repository.home]
url = "~/backup"
key_file = "~/.config/boveda/home.key"

[repository.home.copy.cloud]
url = "s3://bucket/home"
region = "eu-central-1"
access_key_id_env = "AWS_ACCESS_KEY_ID"
secret_access_key_env = "AWS_SECRET_ACCESS_KEY"

[repository.usb]
url = "/media/usb/backup"
password_command = "pass show usb hunter2"

[snapshot]
paths = ["~/Documents", "/etc"]
exclude = ["*.tmp", "~/.cache", "!~/.cache/keep"]
one_file_system = true
tags = ["nightly"]
host = "web"
compression = 7
delta = "off"

[limits]
threads = 2
nice = "on"
limit_read = "50M"
pause_on_battery = true

[retention]
keep_last = 3
keep_within = "1y2m"
keep_size = "500G"

[retention.full]
keep_within = "30d"

[alert]
email = ["root@localhost"]
slack_webhook_env = "SLACK_WEBHOOK_URL"

[database]
connections_env = "BACKUP_DB_CONNECTIONS"
"#;

fn parsed(text: &str) -> Result<Settings, Error> {
    parse::parse(Path::new("/c.toml"), text.as_bytes())
}

fn error(text: &str) -> String {
    parsed(text).unwrap_err().to_string()
}

#[test]
fn a_full_configuration_is_read() {
    let settings = parsed(FULL).unwrap();
    let home = Some(Path::new("/home/x[1]"));
    let config = Config { path: "/c.toml".into(), settings, sections: vec![] };
    let (name, repository) = config.default_repository().unwrap();
    assert_eq!(
        (name.as_str(), repository.url.resolve(home).unwrap().to_string().as_str()),
        ("home", "/home/x[1]/backup")
    );
    assert_eq!(repository.secret(home).unwrap().origin().unwrap(), Some(Origin("key_file")));
    let snapshot = &config.settings.snapshot;
    assert_eq!(snapshot.paths[0].resolve(home).unwrap(), Path::new("/home/x[1]/Documents"));
    assert!(snapshot.paths[0].resolve(None).is_err() && snapshot.paths[1].resolve(None).is_ok());
    let excludes: Vec<_> = snapshot.exclude.iter().map(|pattern| pattern.resolve(home).unwrap()).collect();
    assert_eq!(excludes, ["*.tmp", "/home/x\\[1\\]/.cache", "!/home/x\\[1\\]/.cache/keep"]);
    assert_eq!(snapshot.compression, Some("7".parse().unwrap()));
    assert_eq!(snapshot.delta, Some(crate::ops::snapshot::Delta::Off));
    let Limits { threads, nice, limit_read, pause_on_battery } = config.settings.limits;
    assert_eq!((threads.unwrap().get(), nice, pause_on_battery), (2, Some(Nice::On), true));
    assert_eq!(limit_read, Some("50M".parse().unwrap()));
    assert!(parsed("").unwrap().repository.is_empty());
}

#[test]
fn without_a_default_the_only_repository_counts() {
    let config = |text: &str| Config { path: "/c".into(), settings: parsed(text).unwrap(), sections: vec![] };
    let one = config("[repository.a]\nurl = '/a'\n");
    assert_eq!(one.default_repository().unwrap().0.as_str(), "a");
    assert!(config("[repository.a]\nurl = '/a'\n[repository.b]\nurl = '/b'\n").default_repository().is_none());
    assert!(one.named("a").is_some() && one.named("b").is_none());
}

#[test]
fn an_unknown_key_is_an_error_with_line_and_nearest_key() {
    for (text, key, line, nearest) in [
        ("\n[repository.a]\nurll = '/a'\n", "urll", 3, Some("url")),
        ("[repository.a]\nurl = '/a'\npassword-file = '/b'\n", "password-file", 3, Some("password_file")),
        ("[snapshots]\n", "snapshots", 1, Some("snapshot")),
        ("[retention]\n\nkeep_dayly = 3\n", "keep_dayly", 3, Some("keep_daily")),
        ("[repository.a.copy.b]\nurl = 's3://b'\nregoin = 'x'\n", "regoin", 3, Some("region")),
        ("[snapshot]\nxyzzy = 1\n", "xyzzy", 2, None),
    ] {
        match parsed(text).unwrap_err() {
            Error::UnknownKey { key: k, line: l, nearest: n, .. } => {
                assert_eq!((k.as_str(), l, n.as_deref()), (key, line, nearest), "{text}");
            }
            other => panic!("{text}: {other}"),
        }
    }
    assert!(error("[snapshots]\n").contains("/c.toml: line 1: unknown key `snapshots` (did you mean `snapshot`?)"));
}

#[test]
fn every_key_is_documented() {
    let documented = include_str!("../../docs/configuration.md");
    let mut count = 0;
    for section in [
        "",
        "repository.a",
        "repository.a.access",
        "repository.a.copy.b",
        "snapshot",
        "limits",
        "retention",
        "alert",
        "database",
    ] {
        let head = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
        let error = toml::from_str::<Settings>(&format!("{head}xyzzy = 1\n")).unwrap_err();
        let (_, known) = parse::unknown_key(error.message()).unwrap();
        for key in known {
            let headings = [format!("## `[{key}"), format!(".{key}.NAME]`")];
            let stands = headings.iter().any(|heading| documented.contains(heading));
            assert!(stands || documented.contains(&format!("`{key}`")), "{section}: {key}");
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
}

#[test]
fn a_wrong_value_is_an_error_with_its_line() {
    for (text, line, part) in [
        ("[repository.a]\nurl = 'relative'\n", 2, "absolute"),
        ("[repository.a]\nurl = 'gopher://x'\n", 2, "gopher"),
        ("[repository.a]\nurl = '/a'\nkey_file = 'k'\n", 3, "absolute"),
        ("[repository.a]\nurl = '/a'\nkey_command = \"x 'y\"\n", 3, "quotes"),
        ("[repository.a]\nurl = '/a'\nkey_env = 'two words'\n", 3, "variable"),
        ("[repository.'a b']\nurl = '/a'\n", 1, "name"),
        ("[snapshot]\nexclude = ['ok', '[']\n", 2, "pattern"),
        ("[snapshot]\npaths = '/a'\n", 2, "sequence"),
        ("[snapshot]\ncompression = 20\n", 2, "from 1 to 19"),
        ("[snapshot]\ncompression = 'zip'\n", 2, "from 1 to 19"),
        ("[snapshot]\ndelta = 'on'\n", 2, "auto"),
        ("[limits]\nthreads = 0\n", 2, "nonzero"),
        ("[limits]\nnice = 'very'\n", 2, "auto"),
        ("[limits]\nlimit_read = '0'\n", 2, "such as 50M"),
        ("[retention]\nkeep_last = 0\n", 2, "nonzero"),
        ("[retention]\nkeep_within = '3 days'\n", 2, "1y5m7d2h"),
        ("[retention]\nkeep_size = '1 GB'\n", 2, "500M"),
        ("[repository.a]\nurl = '/a'\nurl = '/b'\n", 3, "duplicate"),
        ("[repository.a\n", 1, ""),
    ] {
        match parsed(text).unwrap_err() {
            Error::Invalid { line: l, reason, .. } => {
                assert_eq!(l, line, "{text}: {reason}");
                assert!(reason.contains(part), "{text}: {reason}");
            }
            other => panic!("{text}: {other}"),
        }
    }
    assert!(matches!(parse::parse(Path::new("/c"), b"a = 1\n\xff"), Err(Error::NotText { line: 2, .. })));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    assert!(error("default_repository = 'b'\n[repository.a]\nurl = '/a'\n").contains("there is a"));
    let two = "[repository.a]\nurl = '/a'\nkey_file = '/k'\npassword_file = '~/p'\n";
    assert!(error(two).contains("repository.a: both password_file and key_file"), "{}", error(two));
    assert!(error("[retention.full]\nkeep_size = '1G'\n").contains("retention: keep_size is for all snapshots"));
    assert!(error("[retention.full.full]\nkeep_last = 1\n").contains("hold rules for kinds"));
}

#[test]
fn secrets_are_never_shown() {
    let with_secret = "[repository.a]\nurl = 'webdavs://me:hunter2@host/x'\npassword = 'hunter2'\n";
    let settings = parsed(with_secret).unwrap();
    let shown = format!("{settings:?} {} {}", serde_json::to_string(&settings).unwrap(), settings.repository["a"].url);
    assert!(!serde_json::to_string(&settings).unwrap().contains("hunter2"), "{shown}");
    assert!(!serde_json::to_string(&parsed(FULL).unwrap()).unwrap().contains("hunter2"));
    assert!(format!("{:?}", settings.repository["a"].password).contains("SecretBytes(..)"));
    for wrong in ["password = 1234321", "password = ['1234321']", "key_env = '1234321'", "key_file = '1234321'"] {
        let text = error(&format!("[repository.a]\nurl = '/a'\n{wrong}\n"));
        assert!(text.contains("line 3") && !text.contains("1234321"), "{text}");
    }
}

fn file(folder: &Path, text: &str, mode: u32) -> Place {
    let path = folder.join("config.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    Place { path, rank: Rank::Named }
}

#[test]
fn a_file_that_shows_a_secret_or_that_anybody_may_change_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = "[repository.a]\nurl = '/a'\nkey_file = '/k'\n";
    let secret = "[repository.a]\nurl = '/a'\npassword = 'x'\n";
    let key = "[repository.a]\nurl = '/a'\nkey = 'x'\n";
    for (text, mode, fine) in [
        (open, 0o644, true),
        (open, 0o666, false),
        (secret, 0o600, true),
        (secret, 0o640, false),
        (secret, 0o604, false),
        (key, 0o644, false),
        (key, 0o600, true),
    ] {
        let loaded = Config::load(&[file(folder.path(), text, mode)]);
        assert_eq!(loaded.is_ok(), fine, "{mode:o}");
    }
    let error = Config::load(&[file(folder.path(), secret, 0o644)]).unwrap_err();
    assert!(matches!(&error, Error::Readable { mode: 0o644, what, .. } if what.contains("repository.a")), "{error}");
}

#[test]
fn the_first_file_counts_and_a_named_one_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let missing = |rank| Place { path: folder.path().join("no/such"), rank };
    let there = file(folder.path(), "[repository.a]\nurl = '/a'\n", 0o600);
    let found = Config::load(&[missing(Rank::User), there.clone()]).unwrap().unwrap();
    assert_eq!(found.path, there.path);
    assert!(Config::load(&[missing(Rank::User), missing(Rank::System)]).unwrap().is_none());
    assert!(matches!(Config::load(&[missing(Rank::Named), there]), Err(Error::Io { .. })));
}

#[test]
fn sections_are_added_and_what_was_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/config.toml");
    let mut first = Addition::default();
    first.section("repository.a").string("url", "/a \"b\"\\").comment("one\ntwo");
    append(&path, &first).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("# mine");
    fs::write(&path, &text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let mut second = Addition::default();
    second.section("snapshot").strings("paths", ["/x", "~/y"]);
    append(&path, &second).unwrap();
    let after = fs::read_to_string(&path).unwrap();
    assert!(after.starts_with(&text) && after.ends_with("paths = [\"/x\", \"~/y\"]\n"), "{after}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(parsed(&after).unwrap().repository["a"].url.to_string(), "/a \"b\"\\");
    // What would not be a configuration any more is not written.
    assert!(append(&path, &second).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), after);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}
