//! The records of a pax header: `LENGTH KEY=VALUE\n`, the length counting the whole record. Values may hold any byte.

use crate::repo::entry::Timestamp;

/// What stands before the name of an extended attribute, as star, GNU tar and bsdtar have it.
pub const XATTR: &[u8] = b"SCHILY.xattr.";

/// Appends a record.
pub fn push(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // The length counts its own digits: at most two rounds find how many they are.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + digits(rest);
    if digits(length) + rest != length {
        length = rest + digits(length);
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// The records, in order; `None` when they are malformed.
pub fn parse(mut bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut records = Vec::new();
    // Some writers pad with zeros.
    while bytes.first().is_some_and(|&byte| byte != 0) {
        let blank = bytes.iter().take(20).position(|&byte| byte == b' ')?;
        let length: usize = std::str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
        let record = bytes.get(blank + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|&byte| byte == b'=')?;
        records.push((record[..equals].to_vec(), record[equals + 1..].to_vec()));
        bytes = &bytes[length..];
    }
    Some(records)
}

/// A moment as seconds with a fraction: what is before 1970 is negative as a whole.
pub fn time(time: Timestamp) -> String {
    let Timestamp { seconds, nanoseconds } = time;
    let (sign, whole, fraction) = match (seconds < 0, nanoseconds) {
        (false, nanoseconds) => ("", seconds.unsigned_abs(), nanoseconds),
        (true, 0) => ("-", seconds.unsigned_abs(), 0),
        (true, nanoseconds) => ("-", seconds.unsigned_abs() - 1, 1_000_000_000 - nanoseconds),
    };
    match fraction {
        0 => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction:09}").trim_end_matches('0').to_owned(),
    }
}

/// The moment that [`time`] wrote; digits beyond nanoseconds are dropped.
pub fn parse_time(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanoseconds: u32 = format!("{fraction:0<9}")[..9].parse().ok()?;
    Some(match (negative, nanoseconds) {
        (false, nanoseconds) => Timestamp { seconds, nanoseconds },
        (true, 0) => Timestamp { seconds: -seconds, nanoseconds: 0 },
        (true, nanoseconds) => Timestamp { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

/// The name of an attribute as a key: `=` ends keys, so GNU tar writes it, and `%`, in hexadecimal.
pub fn attribute_key(name: &[u8]) -> Vec<u8> {
    let mut key = XATTR.to_vec();
    for &byte in name {
        match byte {
            b'%' => key.extend_from_slice(b"%25"),
            b'=' => key.extend_from_slice(b"%3D"),
            byte => key.push(byte),
        }
    }
    key
}

/// The name behind [`attribute_key`]; `None` for any other key.
pub fn attribute_name(key: &[u8]) -> Option<Vec<u8>> {
    let mut rest = key.strip_prefix(XATTR)?;
    let mut name = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, used) = match rest {
            [b'%', b'2', b'5', ..] => (b'%', 3),
            [b'%', b'3', b'D', ..] => (b'=', 3),
            _ => (byte, 1),
        };
        name.push(byte);
        rest = &after[used - 1..];
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_count_themselves() {
        for length in [0, 1, 5, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 980, 990, 991, 992, 993, 70_000] {
            let mut records = Vec::new();
            let value = vec![b'\n'; length];
            push(&mut records, b"key", &value);
            push(&mut records, b"b", b"=");
            let expected = [(b"key".to_vec(), value), (b"b".to_vec(), b"=".to_vec())];
            assert_eq!(parse(&records).unwrap(), expected, "{length}");
        }
    }

    #[test]
    fn malformed_records_are_no_records() {
        for bad in [&b"x"[..], b"3 a", b"999 a=b\n", b"6 a=bc\n", b"5 ab\n", b"0 a=b\n", b"1 a=b\n", b"-6 a=b\n"] {
            assert_eq!(parse(bad), None, "{}", bad.escape_ascii());
        }
        assert_eq!(parse(b"\0\0").unwrap(), []);
    }

    #[test]
    fn times_keep_their_nanoseconds() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "0"),
            (5, 500_000_000, "5.5"),
            (1, 1, "1.000000001"),
            (-1, 0, "-1"),
            (-1, 750_000_000, "-0.25"),
            (-10, 1, "-9.999999999"),
        ] {
            let moment = Timestamp { seconds, nanoseconds };
            assert_eq!(time(moment), text);
            assert_eq!(parse_time(text.as_bytes()), Some(moment));
        }
        for bad in ["", "x", "1.x", "--1", "1e5"] {
            assert!(parse_time(bad.as_bytes()).is_none_or(|_| bad.is_empty()), "{bad}");
        }
    }

    #[test]
    fn attribute_names_survive() {
        for name in [&b"user.a"[..], b"user.a=b%3D\n\xff"] {
            assert_eq!(attribute_name(&attribute_key(name)).unwrap(), name);
        }
        assert_eq!(attribute_name(b"path"), None);
    }
}
