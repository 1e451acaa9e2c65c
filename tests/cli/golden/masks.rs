//! Hides in a program's output what differs from run to run, and nothing else.

use std::path::Path;

use serde_json::Value;

/// Numbers of JSON lines that depend on the machine, the time or what encryption made of it.
const FIELDS: [&str; 23] = [
    "atime",
    "ctime",
    "bytes_read",
    "compression_level",
    "chunks_added",
    "data_added",
    "data_added_packed",
    "dirs_changed",
    "dirs_new",
    "dirs_unmodified",
    "gid",
    "group",
    "inode",
    "others_changed",
    "seconds",
    "stored",
    "total_duration",
    "uid",
    "user",
    "username",
    "program_version",
    "version",
    "used",
];

/// Lines that say nothing but such numbers.
const LINES: [(&str, &str); 7] = [
    ("packed: ", "packed:  at level <some> on average (--compression auto)"),
    ("added: ", "added:   <size> (<size> stored)"),
    ("folders: 0 new, ", "folders: 0 new, <some> changed, <some> unmodified"),
    (
        "a prune could then free ",
        "a prune could then free <size>: <some> packs that nothing needs any more, <some> to be made anew without a part",
    ),
    ("  data  ", "  data      <size> with <some> chunks"),
    ("  payload ", "  payload   <size> with <some> chunks"),
    ("  skeleton ", "  skeleton  <size> with <some> chunks"),
];

/// The text without what differs. `place` is the folder that everything is in.
pub fn masked(text: &str, place: &Path) -> String {
    let place = place.to_str().unwrap().trim_end_matches('/');
    let text = text.replace(place, "<place>");
    text.lines().filter(|line| !is_chance(line)).map(|line| masked_line(line) + "\n").collect()
}

/// What is there or not as the clock and other programs please: progress, and the folder that all places are in.
fn is_chance(line: &str) -> bool {
    line.contains("\"message_type\":\"status\"") || line.contains("\"item\":\"/tmp\"") || line.ends_with(" /tmp")
}

fn masked_line(line: &str) -> String {
    if let Ok(mut value @ Value::Object(_)) = serde_json::from_str(line) {
        mask_fields(&mut value);
        return masked_words(&value.to_string());
    }
    // A field of JSON over several lines.
    let name = line.trim_start().strip_prefix('"').and_then(|rest| rest.split_once("\": "));
    if let Some((name, _)) = name.filter(|(name, value)| FIELDS.contains(name) && !value.starts_with(['{', '['])) {
        let indent = line.len() - line.trim_start().len();
        return format!("{:indent$}\"{name}\": <{name}>", "");
    }
    for (start, masked) in LINES {
        if line.starts_with(start) {
            return masked.to_owned();
        }
    }
    masked_words(line)
}

fn mask_fields(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if FIELDS.contains(&name.as_str()) && (value.is_number() || value.is_string()) {
                    *value = Value::from(format!("<{name}>"));
                } else {
                    mask_fields(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(mask_fields),
        _ => {}
    }
}

/// The line with its ids and times hidden. A short mask is as wide as what it hides: columns stay in line.
fn masked_words(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let begins = !text.ends_with(|last: char| last.is_ascii_alphanumeric());
        let masked = if !begins {
            None
        } else if text.ends_with("packs/") {
            // The folder of a pack is the beginning of its name.
            rest.find('/').map(|length| ("<id>".to_owned(), length))
        } else {
            time(rest).or_else(|| id(rest)).or_else(|| measure(&text, rest))
        };
        let (mask, length) = masked.unwrap_or_else(|| {
            let length = rest.chars().next().map_or(0, char::len_utf8);
            (rest[..length].to_owned(), length)
        });
        text += &mask;
        rest = &rest[length..];
    }
    text
}

/// How much of the text looks like this: `0` for a digit, anything else for itself.
fn like(text: &str, shape: &str) -> bool {
    let fits = |(is, wanted): (u8, u8)| if wanted == b'0' { is.is_ascii_digit() } else { is == wanted };
    text.len() >= shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}

/// A time of now. Times in 2020 are those that scripts ask for, and stay.
fn time(text: &str) -> Option<(String, usize)> {
    if text.starts_with("2020-") || !["0000-00-00 00:00:00", "0000-00-00T00:00:00"].iter().any(|form| like(text, form))
    {
        return None;
    }
    let more = text[19..].bytes().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'Z')).count();
    let mask = if more == 0 { "<time>             " } else { "<time>" };
    Some((mask.to_owned(), 19 + more))
}

/// An id, or its beginning: eight or more hexadecimal digits.
fn id(text: &str) -> Option<(String, usize)> {
    let length = text.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
    let ends = !text[length..].starts_with(|next: char| next.is_ascii_alphanumeric());
    let mask = if length < 32 { format!("{:<length$}", "<id>") } else { "<id>".to_owned() };
    // Numbers of objects are twenty digits, most of them zeros.
    (length >= 8 && ends && !text.starts_with("00000000")).then_some((mask, length))
}

/// How long something took, or how much room there is.
fn measure(before: &str, text: &str) -> Option<(String, usize)> {
    let length = text.bytes().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b':')).count();
    let (number, after) = text.split_at(length);
    let took = before.ends_with(" in ") && (number.contains(':') || after.starts_with(" s"));
    let room = before.ends_with(" has ") && after.contains(" of room");
    let unit = if room { after.find(" of room").unwrap_or(0) } else { 0 };
    (length > 0 && (took || room)).then(|| (if room { "<some>" } else { "<took>" }.to_owned(), length + unit))
}
