//! What the rows of a run come to by the log as it is now: it is judged anew at each opening, while the run stays as it is.

/// What a pack's row in a run comes to by the log as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The index that says so does not count, or another run says the same.
    Masked,
    /// Its chunks can be read.
    Known,
    /// Its chunks may be relied on.
    Good,
}

/// What the rows of a run come to by the log as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// Of each pack.
    pub packs: Vec<Standing>,
    /// Whether each index counts, and no other run says the same.
    pub indexes: Vec<bool>,
}

impl Judged {
    /// Whether more of the packs is masked than not.
    pub fn mostly_masked(&self) -> bool {
        let masked = self.packs.iter().filter(|standing| **standing == Standing::Masked).count();
        masked * 2 > self.packs.len()
    }
}
