//! Holds the floors of the house: a room imports only from floors below it, as the map in `lib.rs` orders them.
//!
//! Reads the code as tokens, so comments, strings and the shape of `use` trees do not matter. It does not expand macros.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One word or one sign of Rust code; comments, literals and white space are dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(char),
}

/// A `crate::…` path, or a chain of `super` that arrives there, with the room that it enters.
#[derive(Debug, PartialEq, Eq)]
struct Import {
    line: usize,
    room: String,
}

#[test]
fn rooms_import_only_from_floors_below() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let map = floors(&fs::read_to_string(source.join("lib.rs")).unwrap());
    let mut wrong = Vec::new();
    for file in rust_files(&source) {
        let module = module_path(file.strip_prefix(&source).unwrap());
        let text = fs::read_to_string(&file).unwrap();
        wrong.extend(violations(&map, &module, &text).into_iter().map(|v| format!("{}:{v}", file.display())));
    }
    assert!(wrong.is_empty(), "imports from above:\n{}", wrong.join("\n"));
}

#[test]
fn the_map_names_every_room_and_no_other() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let mapped: BTreeSet<_> = floors(&text).into_iter().collect();
    let declared: BTreeSet<_> =
        text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).map(str::to_owned).collect();
    assert_eq!(mapped, declared);
}

#[test]
fn the_detector_sees_every_way_up() {
    let map = floors("//! ```text\n//! cli   a\n//! ops   b\n//! repo  c\n//! ```\n");
    assert_eq!(map, ["cli", "ops", "repo"]);
    let upward = [
        "use crate::ops::restore;",
        "use crate::{event, ops::{self, restore}};",
        "use crate :: /* why */ ops;",
        "fn f() { crate::cli::run(); }",
        "use super::super::cli;",
        "use super::super::{cli, ops};",
        "mod tests { use super::super::super::ops::x; }",
        "mod tests { mod deep { use super::super::super::super::ops::x; } }",
        "macro_rules! m { () => { $crate::ops::x() } }",
        "use crate::*;",
        "use crate as house;",
        "use self::super::super::ops;",
        "fn f<'a>(x: &'a str, c: char) { let q = '\"'; crate::ops::go(\"\") }",
        "let s = r#\"a \" b\"#; crate::ops::go();",
        "pub(crate) use crate::ops::x;",
    ];
    for code in upward {
        assert!(!violations(&map, &["repo", "pack"], code).is_empty(), "not seen: {code}");
    }
    let harmless = [
        "use crate::repo::pack;",
        "use super::wire;",
        "use super::super::repo::wire;",
        "mod tests { use super::*; use super::super::wire; }",
        "// use crate::ops;\n/* crate::cli /* nested */ crate::ops */ let s = \"crate::ops\";",
        "pub(crate) fn f() {} pub(in crate::repo) fn g() {}",
        "mod a { fn f() { if x { y } } } use super::ops_like;",
    ];
    for code in harmless {
        assert_eq!(violations(&map, &["repo", "pack"], code), [""; 0], "{code}");
    }
    assert!(violations(&map, &["cli"], "use crate::ops; use crate::repo;").is_empty());
    assert!(!violations(&map, &["repo"], "use super::ops;").is_empty(), "a room's own mod.rs");
}

/// What is wrong in one file of the module `module`: "LINE: room imports other".
fn violations(map: &[String], module: &[&str], text: &str) -> Vec<String> {
    let Some(room) = module.first() else { return Vec::new() };
    let floor = |name: &str| map.iter().position(|known| known == name);
    // main.rs stands above all floors.
    let Some(here) = floor(room) else { return Vec::new() };
    imports(module, text)
        .into_iter()
        .filter(|import| import.room != *room && floor(&import.room).is_none_or(|there| there <= here))
        .map(|import| format!("{}: {room} imports {}", import.line, import.room))
        .collect()
}

/// The rooms, top floor first, from the block in the crate's documentation.
fn floors(lib: &str) -> Vec<String> {
    lib.lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .skip_while(|line| line.trim() != "```text")
        .skip(1)
        .take_while(|line| line.trim() != "```")
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// `repo/keys/mod.rs` is `repo::keys`; `lib.rs` is the root.
fn module_path(file: &Path) -> Vec<&str> {
    let mut path: Vec<_> = file.iter().map(|part| part.to_str().unwrap()).collect();
    let last = path.pop().unwrap().strip_suffix(".rs").unwrap();
    if !matches!(last, "mod" | "lib") {
        path.push(last);
    }
    path
}

/// Every import of a room, seen from the module `module`.
fn imports(module: &[&str], text: &str) -> Vec<Import> {
    let tokens = tokens(text);
    let (mut found, mut depth, mut inline) = (Vec::new(), 0_usize, Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at].1 {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => {
                inline.retain(|&opened| opened < depth);
                depth = depth.saturating_sub(1);
            }
            Token::Word(word) if word == "mod" && is_sign(&tokens, at + 2, '{') => inline.push(depth + 1),
            Token::Word(word) if word == "crate" && !is_sign(&tokens, at + 1, ')') => {
                found.extend(rooms_after(&tokens, at + 1));
            }
            Token::Word(word) if word == "super" => {
                let mut steps = 1;
                while is_path(&tokens, at + 1) && is_word(&tokens, at + 3, "super") {
                    steps += 1;
                    at += 3;
                }
                if steps >= module.len() + inline.len() && !is_sign(&tokens, at + 1, ')') {
                    found.extend(rooms_after(&tokens, at + 1));
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The rooms entered by what follows `crate` (or the last `super`) at `at`: `::name`, `::{…}`; anything else is `*`.
fn rooms_after(tokens: &[(usize, Token)], at: usize) -> Vec<Import> {
    let line = tokens[at - 1].0;
    let import = |room: &str| Import { line, room: room.to_owned() };
    if !is_path(tokens, at) {
        return vec![import("*")];
    }
    match tokens.get(at + 2).map(|token| &token.1) {
        Some(Token::Word(room)) => vec![import(room)],
        Some(Token::Sign('{')) => group(&tokens[at + 3..]).iter().map(|room| import(room)).collect(),
        _ => vec![import("*")],
    }
}

/// The first words of the members of a `use` group whose brace was just opened.
fn group(tokens: &[(usize, Token)]) -> Vec<String> {
    let (mut rooms, mut depth, mut fresh) = (Vec::new(), 1, true);
    for (_, token) in tokens {
        match token {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => depth -= 1,
            Token::Sign(',') if depth == 1 => fresh = true,
            Token::Word(word) if fresh => {
                rooms.push(word.clone());
                fresh = false;
            }
            Token::Sign('*') if fresh => rooms.push("*".to_owned()),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    rooms
}

fn is_sign(tokens: &[(usize, Token)], at: usize, sign: char) -> bool {
    tokens.get(at).is_some_and(|token| token.1 == Token::Sign(sign))
}

fn is_path(tokens: &[(usize, Token)], at: usize) -> bool {
    is_sign(tokens, at, ':') && is_sign(tokens, at + 1, ':')
}

fn is_word(tokens: &[(usize, Token)], at: usize, word: &str) -> bool {
    tokens.get(at).is_some_and(|token| matches!(&token.1, Token::Word(found) if found == word))
}

/// Splits code into tokens with their line numbers.
fn tokens(text: &str) -> Vec<(usize, Token)> {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let start = at;
        if let Some(end) = comment(&chars, at).or_else(|| literal(&chars, at)) {
            at = end;
        } else if chars[at].is_alphanumeric() || chars[at] == '_' {
            while at < chars.len() && (chars[at].is_alphanumeric() || chars[at] == '_') {
                at += 1;
            }
            tokens.push((line, Token::Word(chars[start..at].iter().collect())));
        } else {
            if !chars[at].is_whitespace() {
                tokens.push((line, Token::Sign(chars[at])));
            }
            at += 1;
        }
        line += chars[start..at].iter().filter(|&&c| c == '\n').count();
    }
    tokens
}

/// Where the comment that starts at `at` ends, if one starts there.
fn comment(chars: &[char], at: usize) -> Option<usize> {
    match (chars[at], chars.get(at + 1)) {
        ('/', Some('/')) => Some(chars[at..].iter().position(|&c| c == '\n').map_or(chars.len(), |n| at + n)),
        ('/', Some('*')) => {
            let (mut depth, mut end) = (1, at + 2);
            while depth > 0 && end < chars.len() {
                match (chars[end], chars.get(end + 1)) {
                    ('*', Some('/')) => (depth, end) = (depth - 1, end + 2),
                    ('/', Some('*')) => (depth, end) = (depth + 1, end + 2),
                    _ => end += 1,
                }
            }
            Some(end)
        }
        _ => None,
    }
}

/// Where the string, raw string, character or lifetime that starts at `at` ends, if one starts there.
fn literal(chars: &[char], at: usize) -> Option<usize> {
    let word_before = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '"' => Some(quoted(chars, at + 1, '"')),
        '\'' if chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'') => {
            Some(quoted(chars, at + 1, '\''))
        }
        'r' | 'b' | 'c' if !word_before => {
            let prefix = chars[at..].iter().take_while(|c| matches!(c, 'r' | 'b' | 'c')).count();
            let hashes = chars[at + prefix..].iter().take_while(|&&c| c == '#').count();
            if chars.get(at + prefix + hashes) != Some(&'"') || prefix > 2 {
                return None;
            }
            let body = at + prefix + hashes + 1;
            if !chars[at..at + prefix].contains(&'r') {
                return Some(quoted(chars, body, '"'));
            }
            let closing: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            let end = chars[body..].windows(closing.len()).position(|window| window == closing);
            Some(end.map_or(chars.len(), |n| body + n + closing.len()))
        }
        _ => None,
    }
}

/// The place after the closing `quote`, backslashes honoured.
fn quoted(chars: &[char], mut at: usize, quote: char) -> usize {
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}
