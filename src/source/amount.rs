//! Numbers of bytes as people write them.

/// A size: `1048576`, `500M`, `2GiB`; the letters count in binary units, in either case. `None` when it is none.
pub fn parse(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let shift = match text[digits..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for (text, count) in [("0", 0), ("7b", 7), ("2k", 2048), ("3MiB", 3 << 20), ("1G", 1 << 30), ("1t", 1 << 40)] {
            assert_eq!(parse(text), Some(count), "{text}");
        }
        for bad in ["", "k", "-1", "1.5G", "1MB", "1 G", "99999999999T", "é"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
