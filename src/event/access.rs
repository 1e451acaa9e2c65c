//! One look into a mounted snapshot: who, with what, at what, and whether it was allowed.

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Opened a file.
    Read,
    /// Listed a folder.
    List,
}

impl Operation {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
        }
    }
}

/// Looks of one user with one program into one snapshot within one minute; a denial is one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Seconds since 1970: when the minute began, or when it was denied.
    pub time: i64,
    /// Whose process it was.
    pub uid: u32,
    /// The group of the first one.
    pub gid: u32,
    /// The number of the first process.
    pub pid: u32,
    /// The program's file; `[NAME]`, as the process calls itself, where the system does not tell; empty when it is not known.
    pub program: Vec<u8>,
    /// Where the snapshots are mounted.
    pub mountpoint: Vec<u8>,
    /// The snapshot's id; `None` above the snapshots.
    pub snapshot: Option<[u8; 32]>,
    /// What was done.
    pub operation: Operation,
    /// Whether it was allowed.
    pub allowed: bool,
    /// How often.
    pub count: u64,
    /// Where: the first ones, below the mountpoint.
    pub paths: Vec<Vec<u8>>,
}
