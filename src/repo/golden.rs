//! The golden bytes of `FORMAT.md`, for the tests of the modules that write them.

/// The bytes of the fenced block that starts with `` ```golden NAME ``: hexadecimal digits, white space and `#` comments.
///
/// # Panics
/// When there is no such block, or it holds anything else.
pub fn bytes(name: &str) -> Vec<u8> {
    let format = include_str!("FORMAT.md");
    let head = format!("```golden {name}\n");
    let (_, after) = format.split_once(&head).unwrap_or_else(|| panic!("FORMAT.md has no golden block {name}"));
    let (block, _) = after.split_once("```").expect("golden blocks end");
    let digits: String = block
        .lines()
        .flat_map(|line| line.split('#').next())
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    assert!(digits.len().is_multiple_of(2), "golden block {name} holds whole bytes");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal")).collect()
}
