//! Numbers of things, with the noun that fits.

use std::fmt::Display;

/// `1 file`, `2 files`, `0 entries`. The noun is given for one thing; its plural must be regular.
pub fn count(number: impl TryInto<u64> + Display + Copy, noun: &str) -> String {
    if matches!(number.try_into(), Ok(1)) {
        return format!("{number} {noun}");
    }
    match noun.strip_suffix('y') {
        // Days, not daies.
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{number} {stem}ies"),
        _ if noun.ends_with('x') => format!("{number} {noun}es"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_not_many() {
        assert_eq!(
            [count(0_u64, "file"), count(1_u64, "file"), count(2_usize, "file")],
            ["0 files", "1 file", "2 files"]
        );
        assert_eq!([count(1_u64, "entry"), count(2_u64, "entry")], ["1 entry", "2 entries"]);
    }
}
