//! One component of an exclude pattern: what `*`, `?`, `[a-z]` and `\` mean inside one name.
//!
//! The rules are those of Go's `filepath.Match`, which restic's users know, on bytes: a character is one of UTF-8 where
//! the bytes are UTF-8, else a single byte. Matching takes at most (pattern × name) steps.

/// A compiled component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Component {
    /// `**` alone: any number of names, none included.
    AnyDepth,
    /// No wildcard.
    Literal(Vec<u8>),
    /// `*` and then no wildcard.
    Suffix(Vec<u8>),
    /// Everything else.
    Tokens(Vec<Token>),
}

/// A step of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// This byte.
    Byte(u8),
    /// Any one character.
    One,
    /// Any characters, none included.
    Many,
    /// One character within these ranges (both ends included), or outside all of them.
    Class { negated: bool, ranges: Vec<(u32, u32)> },
}

impl Component {
    /// Compiles a component; `None` when a class or an escape is not closed, or a class is empty or upside down.
    pub fn parse(text: &[u8]) -> Option<Self> {
        Self::parse_with(text, class)
    }

    /// As [`Self::parse`], where `class` takes a class after its `[`, up to its `]`, from the front of what it is given.
    pub fn parse_with(text: &[u8], class: fn(&mut &[u8]) -> Option<Token>) -> Option<Self> {
        if text == b"**" {
            return Some(Self::AnyDepth);
        }
        let mut tokens = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            match first {
                b'*' if tokens.last() == Some(&Token::Many) => {}
                b'*' => tokens.push(Token::Many),
                b'?' => tokens.push(Token::One),
                b'[' => tokens.push(class(&mut rest)?),
                b'\\' => {
                    tokens.push(Token::Byte(*rest.first()?));
                    rest = &rest[1..];
                }
                byte => tokens.push(Token::Byte(byte)),
            }
        }
        Some(Self::simplest(tokens))
    }

    fn simplest(tokens: Vec<Token>) -> Self {
        let literal = |tokens: &[Token]| -> Option<Vec<u8>> {
            tokens.iter().map(|token| if let Token::Byte(byte) = token { Some(*byte) } else { None }).collect()
        };
        if let Some(bytes) = literal(&tokens) {
            return Self::Literal(bytes);
        }
        match tokens.split_first() {
            Some((Token::Many, after)) if literal(after).is_some() => Self::Suffix(literal(after).unwrap_or_default()),
            _ => Self::Tokens(tokens),
        }
    }

    /// Whether the whole of `name` matches. `AnyDepth` matches every name.
    pub fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::AnyDepth => true,
            Self::Literal(bytes) => bytes == name,
            Self::Suffix(bytes) => name.ends_with(bytes),
            Self::Tokens(tokens) => tokens_match(tokens, name),
        }
    }
}

/// The class after its `[`, taken from `rest` with its `]`.
fn class(rest: &mut &[u8]) -> Option<Token> {
    let negated = rest.first() == Some(&b'^');
    if negated {
        *rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        if rest.first() == Some(&b']') && !ranges.is_empty() {
            *rest = &rest[1..];
            return Some(Token::Class { negated, ranges });
        }
        let low = class_character(rest)?;
        let high = if rest.first() == Some(&b'-') {
            *rest = &rest[1..];
            class_character(rest)?
        } else {
            low
        };
        if high < low {
            return None;
        }
        ranges.push((low, high));
    }
}

fn class_character(rest: &mut &[u8]) -> Option<u32> {
    match rest.first()? {
        b'-' | b']' => return None,
        b'\\' => *rest = &rest[1..],
        _ => {}
    }
    let (value, length) = character(rest)?;
    *rest = &rest[length..];
    Some(value)
}

/// The first character and its length; a byte that is not UTF-8 counts as a character above all of Unicode.
pub(super) fn character(bytes: &[u8]) -> Option<(u32, usize)> {
    let first = *bytes.first()?;
    let length = match first {
        0x00..=0x7f => return Some((u32::from(first), 1)),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 0,
    };
    let decoded = bytes.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).and_then(|s| s.chars().next());
    Some(decoded.map_or((0x11_0000 + u32::from(first), 1), |c| (u32::from(c), length)))
}

/// Greedy matching that, when it fails, goes back to the last `*` only: enough, since a later `*` takes what an earlier
/// one would have.
fn tokens_match(tokens: &[Token], name: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut retry = None;
    loop {
        let step = match tokens.get(token) {
            Some(Token::Many) => {
                retry = Some((token + 1, at));
                token += 1;
                continue;
            }
            Some(one) => one_matches(one, &name[at..]),
            None if at == name.len() => return true,
            None => None,
        };
        if let Some(length) = step {
            (token, at) = (token + 1, at + length);
        } else if let Some((after, from)) = retry
            && let Some((_, length)) = character(&name[from..])
        {
            (token, at) = (after, from + length);
            retry = Some((after, at));
        } else {
            return false;
        }
    }
}

/// How many bytes the token takes from the front of `rest`, if it matches there.
fn one_matches(token: &Token, rest: &[u8]) -> Option<usize> {
    let (value, length) = character(rest)?;
    match token {
        Token::Byte(byte) => (rest[0] == *byte).then_some(1),
        Token::One => Some(length),
        Token::Class { negated, ranges } => {
            let within = ranges.iter().any(|(low, high)| (*low..=*high).contains(&value));
            (within != *negated).then_some(length)
        }
        Token::Many => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &[u8], name: &[u8]) -> bool {
        Component::parse(pattern).unwrap().matches(name)
    }

    #[test]
    fn components_match_as_gos_filepath_match() {
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*b*c*d*e*", "axbxcxdxexxx", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("*x", "xxx", true),
            ("***.o", "a.o", true),
            ("", "", true),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
        for bad in ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "\\", "[b-a]"] {
            assert_eq!(Component::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_characters_of_their_own() {
        assert!(matches(b"a?b", b"a\xffb"));
        assert!(!matches(b"a?b", b"a\xff\xffb"));
        assert!(matches(b"\xff*", b"\xff\xfe"));
        assert!(matches(b"[\xfe-\xff]", b"\xfe"));
        assert!(!matches(b"[\xfe-\xff]", "þ".as_bytes()));
    }

    /// The definition, without cleverness.
    fn slowly(tokens: &[Token], name: &[u8]) -> bool {
        match tokens.split_first() {
            None => name.is_empty(),
            Some((Token::Many, rest)) => (0..=name.len()).any(|n| slowly(rest, &name[n..])),
            Some((token, rest)) => one_matches(token, name).is_some_and(|n| slowly(rest, &name[n..])),
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_its_definition(pattern in "[ab*?]{0,8}", name in "[abc]{0,10}") {
            prop_assume!(pattern != "**");
            let expected: Vec<Token> = pattern.bytes().map(|b| match b {
                b'*' => Token::Many,
                b'?' => Token::One,
                b => Token::Byte(b),
            }).collect();
            prop_assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), slowly(&expected, name.as_bytes()));
        }

        #[test]
        fn any_bytes_compile_or_are_refused(pattern in prop::collection::vec(any::<u8>(), 0..12), name in prop::collection::vec(any::<u8>(), 0..12)) {
            if let Some(component) = Component::parse(&pattern) {
                component.matches(&name);
            }
        }
    }
}
