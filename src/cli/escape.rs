//! Names and messages made fit for a terminal and for one line.
//!
//! Invariant: what comes out holds no control character, nothing that changes the direction of text, and no line end, so
//! that a hostile file name cannot drive a terminal or forge a line of output.

use std::fmt::Write as _;

/// A path or name as text, reversible: a backslash is doubled, bytes that are not UTF-8 become `\xNN`, control
/// characters `\n`, `\t`, `\r` or `\u{…}`.
pub fn name(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                shown.push_str("\\\\");
            } else {
                push(&mut shown, c);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// A message as one line: control characters become escapes, the numbers of the system's errors go (their texts say the same), all
/// else stays as it is.
pub fn line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut parts = text.split(ERROR_NUMBER);
    parts.next().into_iter().flat_map(str::chars).for_each(|c| push(&mut shown, c));
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let numbered = rest.len() < part.len() && rest.starts_with(')');
        let kept = if numbered { ["", &rest[1..]] } else { [ERROR_NUMBER, part] };
        kept.iter().flat_map(|text| text.chars()).for_each(|c| push(&mut shown, c));
    }
    shown
}

/// How the standard library begins the number of a system's error.
const ERROR_NUMBER: &str = " (os error ";

/// JSON as it may go to a terminal: what moves the terminal stands only in strings there, and becomes `\\uXXXX`, so that the
/// text stays the same JSON. Line ends between values stay.
pub fn json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && moves_the_terminal(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

fn push(shown: &mut String, c: char) {
    match c {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        _ if moves_the_terminal(c) => {
            // Writing to a String cannot fail.
            let _ = write!(shown, "\\u{{{:x}}}", c as u32);
        }
        _ => shown.push(c),
    }
}

/// Control characters of both sets, line separators, and the marks that reorder text (Unicode, UAX #9).
fn moves_the_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Paths in one line: the first few, and how many more there are. A list may have named thousands.
pub fn paths(paths: &[Vec<u8>]) -> String {
    const SHOWN: usize = 4;
    let mut line = paths.iter().take(SHOWN).map(|path| name(path)).collect::<Vec<_>>().join(" ");
    if let Some(more) = paths.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        line += &format!(" and {more} more");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_reversibly() {
        assert_eq!(name("/home/zoë/a b".as_bytes()), "/home/zoë/a b");
        assert_eq!(name(b"a\nb\x1b[2Jc\x7f"), "a\\nb\\u{1b}[2Jc\\u{7f}");
        assert_eq!(name(b"\xff\\xff"), "\\xff\\\\xff");
        assert_eq!(name("exe\u{202e}fdp".as_bytes()), "exe\\u{202e}fdp");
        assert_eq!(name("\u{9b}2J".as_bytes()), "\\u{9b}2J");
    }

    #[test]
    fn messages_stay_on_one_line() {
        assert_eq!(line("C:\\x\n\u{1b}"), "C:\\x\\n\\u{1b}");
    }

    #[test]
    fn errors_have_no_numbers() {
        let error = std::io::Error::from_raw_os_error(2);
        assert_eq!(line(&format!("{error}; {error}!")), "No such file or directory; No such file or directory!");
        for other in ["a (os error ", "a (os error )", "a (os error 2", "a (os error x)", "(os error 2)"] {
            assert_eq!(line(other), other);
        }
    }

    #[test]
    fn json_stays_json() {
        let value = serde_json::json!({ "name": "a\u{9b}2J\u{202e}\u{1b}\n\"b", "x": 1 });
        let shown = json(&format!("{value:#}"));
        assert!(shown.contains("\\u009b2J\\u202e\\u001b") && !shown.replace('\n', "").chars().any(moves_the_terminal));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    proptest::proptest! {
        #[test]
        fn nothing_gets_through(bytes: Vec<u8>) {
            assert!(!name(&bytes).chars().any(moves_the_terminal));
        }
    }

    #[test]
    fn of_many_paths_the_first_are_shown() {
        let named = |count: u8| (b'a'..b'a' + count).map(|letter| vec![b'/', letter]).collect::<Vec<_>>();
        assert_eq!(paths(&named(0)), "");
        assert_eq!(paths(&named(4)), "/a /b /c /d");
        assert_eq!(paths(&named(9)), "/a /b /c /d and 5 more");
    }
}
