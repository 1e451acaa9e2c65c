//! Which rule left an entry out, or brought it back: the option, and where that leads to a file, the file and the line.

use std::fmt;
use std::sync::Arc;

/// A rule as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The command line's option, with its dashes.
    pub option: &'static str,
    /// The file that holds the rule, or whose presence is the rule.
    pub file: Option<Arc<[u8]>>,
    /// Its line in that file, from 1.
    pub line: Option<usize>,
    /// The rule's own text, such as a pattern; empty when the option says it all.
    pub text: Vec<u8>,
}

impl Reason {
    /// An option that says it all.
    pub const fn option(option: &'static str) -> Self {
        Self { option, file: None, line: None, text: Vec::new() }
    }

    /// The same with a text.
    #[must_use]
    pub fn text(mut self, text: &[u8]) -> Self {
        self.text = text.to_vec();
        self
    }

    /// The same with a file.
    #[must_use]
    pub fn file(mut self, file: &[u8]) -> Self {
        self.file = Some(file.into());
        self
    }

    /// The same with a line of that file, counted from 1.
    #[must_use]
    pub const fn line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }
}

/// As text of one or more words. Names in it are shown as they are: whoever prints it makes it fit for a terminal.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.option)?;
        if let Some(file) = &self.file {
            write!(f, " {}", String::from_utf8_lossy(file))?;
        }
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", String::from_utf8_lossy(&self.text)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_said_in_one_breath() {
        assert_eq!(Reason::option("--exclude-nodump").to_string(), "--exclude-nodump");
        assert_eq!(Reason::option("--exclude").text(b"*.o").to_string(), "--exclude: *.o");
        let line = Reason::option("--exclude-file").file(b"/etc/x").line(3).text(b"*.o");
        assert_eq!(line.to_string(), "--exclude-file /etc/x line 3: *.o");
    }
}
