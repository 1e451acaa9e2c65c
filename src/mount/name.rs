//! Names of folders above the snapshots: moments, and hosts and tags as file names.

use crate::repo::entry::Timestamp;
use std::fmt::Write as _;

/// Bytes that a file name may have.
const MAX_NAME: usize = 255;

/// A moment in UTC, to the second, without characters that any file system minds: `2026-11-23T02-00-00Z`. A moment that no
/// calendar has is written as `@SECONDS`.
pub fn of_time(time: Timestamp) -> String {
    match jiff::Timestamp::from_second(time.seconds) {
        Ok(moment) => moment.strftime("%Y-%m-%dT%H-%M-%SZ").to_string(),
        Err(_) => format!("@{}", time.seconds),
    }
}

/// What Windows, and so Samba, takes in no name.
const FOREIGN: &str = "<>:\"|?*\\";

/// A host's or a tag's name as a file name: what cannot stand there, here or where the mount is shared to, is written as `%` and
/// two hexadecimal digits, as is `%` itself. `None` for the empty name, and for one that is too long even so.
pub fn of_text(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    // Dots and blanks at the end are as good as not there to Windows.
    let kept = text.trim_end_matches(['.', ' ']).len();
    for (at, character) in text.char_indices() {
        let foreign = FOREIGN.contains(character) || at >= kept;
        if character == '/' || character == '%' || character.is_control() || foreign {
            let mut utf8 = [0; 4];
            for byte in character.encode_utf8(&mut utf8).bytes() {
                // Writing to a string does not fail.
                let _ = write!(name, "%{byte:02X}");
            }
        } else {
            name.push(character);
        }
    }
    (1..=MAX_NAME).contains(&name.len()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> String {
        of_time(Timestamp { seconds, nanoseconds: 999_999_999 })
    }

    #[test]
    fn moments_are_utc_and_without_colons() {
        assert_eq!(at(1_795_399_200), "2026-11-23T02-00-00Z");
        assert_eq!(at(0), "1970-01-01T00-00-00Z");
        assert_eq!(at(-1), "1969-12-31T23-59-59Z");
        assert_eq!(at(i64::MAX), format!("@{}", i64::MAX));
    }

    #[test]
    fn hosts_and_tags_become_single_names() {
        for (text, name) in [
            ("web-1.example.org", Some("web-1.example.org")),
            ("ñandú", Some("ñandú")),
            ("a/b", Some("a%2Fb")),
            ("a%2Fb", Some("a%252Fb")),
            ("..", Some("%2E%2E")),
            (".", Some("%2E")),
            ("...", Some("%2E%2E%2E")),
            ("a.b c. ", Some("a.b c%2E%20")),
            ("job:1 \"x\"", Some("job%3A1 %22x%22")),
            ("x\n", Some("x%0A")),
            ("", None),
        ] {
            assert_eq!(of_text(text).as_deref(), name);
        }
        assert_eq!(of_text(&"x".repeat(256)), None);
        assert!(of_text(&"x".repeat(255)).is_some());
    }
}
