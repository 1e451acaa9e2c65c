//! Object names: every name of the repository's layout as a value, both ways.
//!
//! Invariant: one value has one name, and a name that this module did not make parses to nothing.

use super::armour::ObjectKind;
use super::id::{CensusId, ChunkKind, HoldId, IndexId, KeySetId, PackId, PinId, PrincipalId, SlotId, WriterId};
use crate::store::ObjectName;

/// The folder of sessions, for listings.
pub const SESSIONS: &str = "sess";
/// The folder of packs.
pub const PACKS: &str = "packs";
/// The folder of indexes.
pub const INDEXES: &str = "idx";
/// The folder of slots.
pub const SLOTS: &str = "slots";
/// The folder of the log.
pub const LOG: &str = "log";
/// The folder of censuses.
pub const CENSUS: &str = "census";
/// The folder of pins.
pub const PINS: &str = "pins";
/// The folder of wishes for holds.
pub const HOLDS: &str = "holds";
/// The folder of epoch keys.
pub const KEYS: &str = "keys";

/// Which of an object's two equal copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Copy {
    /// The one that decides.
    First,
    /// The spare, whose name ends in `.2`.
    Second,
}

impl Copy {
    /// Both, the one that decides first.
    pub const BOTH: [Self; 2] = [Self::First, Self::Second];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::First => "",
            Self::Second => ".2",
        }
    }
}

/// Which rows an index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum IndexClass {
    /// Payload and skeleton segments: enough to list and to mount.
    Catalog = 1,
    /// Data segments: needed once content is read.
    Data = 2,
}

impl IndexClass {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Catalog, Self::Data];

    /// The class whose indexes cover segments of `kind`.
    pub const fn of(kind: ChunkKind) -> Self {
        match kind {
            ChunkKind::Data => Self::Data,
            ChunkKind::Payload | ChunkKind::Skeleton => Self::Catalog,
        }
    }

    /// The class with this number in the format.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Catalog),
            2 => Some(Self::Data),
            _ => None,
        }
    }

    const fn letter(self) -> char {
        match self {
            Self::Catalog => 'c',
            Self::Data => 'd',
        }
    }
}

/// One session: a writer and the number of its stay, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionName {
    /// Whose.
    pub writer: WriterId,
    /// Which of its sessions.
    pub seq: u64,
}

impl std::fmt::Display for SessionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{SESSIONS}/{}/{:020}", self.writer, self.seq)
    }
}

/// An object's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// What the repository is.
    Config(Copy),
    /// A wrapped bundle.
    Slot(SlotId, Copy),
    /// One principal's keys of an epoch.
    EpochKeys {
        /// Which epoch.
        epoch: u32,
        /// Whose keys.
        principal: PrincipalId,
    },
    /// The same, put before the log says whether these keys come to be the epoch's.
    EpochOffer {
        /// Which epoch.
        epoch: u32,
        /// Which of the sets that were drawn for it.
        set: KeySetId,
        /// Whose keys.
        principal: PrincipalId,
    },
    /// A session's opening.
    Open(SessionName),
    /// A session's heartbeat with its number.
    Beat(SessionName, u64),
    /// A session's end.
    End(SessionName),
    /// A pack.
    Pack(PackId),
    /// An index.
    Index {
        /// Number of the checkpoint that its session had read.
        checkpoint: u64,
        /// Which rows it holds.
        class: IndexClass,
        /// SHA-256 of its stored bytes.
        id: IndexId,
    },
    /// What a checkpoint names.
    Census(CensusId, Copy),
    /// A reader's pin.
    Pin(PinId),
    /// A wish for a hold.
    Hold {
        /// Who asks.
        who: PrincipalId,
        /// Its id.
        id: HoldId,
    },
    /// An entry of the log at its position.
    Log(u64, Copy),
}

impl Name {
    /// The opening of a session.
    pub const fn open(writer: WriterId, seq: u64) -> Self {
        Self::Open(SessionName { writer, seq })
    }

    /// The end of a session.
    pub const fn end(writer: WriterId, seq: u64) -> Self {
        Self::End(SessionName { writer, seq })
    }

    /// The other copy of an object that has two.
    pub const fn other_copy(&self) -> Option<Self> {
        Some(match *self {
            Self::Config(copy) => Self::Config(copy.other()),
            Self::Slot(id, copy) => Self::Slot(id, copy.other()),
            Self::Census(id, copy) => Self::Census(id, copy.other()),
            Self::Log(position, copy) => Self::Log(position, copy.other()),
            _ => return None,
        })
    }

    /// What kind of object has this name.
    pub const fn kind(&self) -> ObjectKind {
        match self {
            Self::Config(_) => ObjectKind::Config,
            Self::Slot(..) => ObjectKind::Slot,
            Self::EpochKeys { .. } | Self::EpochOffer { .. } => ObjectKind::EpochKeys,
            Self::Open(_) => ObjectKind::Open,
            Self::Beat(..) => ObjectKind::Beat,
            Self::End(_) => ObjectKind::End,
            Self::Pack(_) => ObjectKind::Pack,
            Self::Index { .. } => ObjectKind::Index,
            Self::Census(..) => ObjectKind::Census,
            Self::Pin(_) => ObjectKind::Pin,
            Self::Hold { .. } => ObjectKind::Hold,
            Self::Log(..) => ObjectKind::LogEntry,
        }
    }

    /// The name as the store knows it.
    ///
    /// # Panics
    /// Never: every name of the layout is a valid object name.
    pub fn object(&self) -> ObjectName {
        ObjectName::new(&self.to_string()).expect("every name of the layout is a valid object name")
    }

    /// What signatures and seals bind of the name: without `.2`, and without the hash of the object itself.
    pub fn bound(&self) -> String {
        match self {
            Self::Config(_) => "config".to_owned(),
            Self::Slot(id, _) => format!("{SLOTS}/{id}"),
            Self::Pack(_) => format!("{PACKS}/"),
            Self::Index { checkpoint, class, .. } => format!("{INDEXES}/{checkpoint:020}/{}-", class.letter()),
            Self::Census(..) => format!("{CENSUS}/"),
            Self::Log(position, _) => format!("{LOG}/{position:020}"),
            other => other.to_string(),
        }
    }

    /// Reads a name; `None` for anything that is not part of the layout.
    pub fn parse(name: &ObjectName) -> Option<Self> {
        let text = name.as_str();
        let (base, copy) = text.strip_suffix(".2").map_or((text, Copy::First), |base| (base, Copy::Second));
        let parts: Vec<&str> = base.split('/').collect();
        let parsed = Self::parse_parts(&parts, copy)?;
        // One name per value: this also refuses `.2` where there is no second copy.
        (parsed.to_string() == text).then_some(parsed)
    }

    fn parse_parts(parts: &[&str], copy: Copy) -> Option<Self> {
        Some(match *parts {
            ["config"] => Self::Config(copy),
            [SLOTS, id] => Self::Slot(SlotId::from_hex(id)?, copy),
            [KEYS, epoch, whose] => {
                let epoch = number(epoch)?.try_into().ok()?;
                match whose.split_once('-') {
                    None => Self::EpochKeys { epoch, principal: PrincipalId::from_hex(whose)? },
                    Some((principal, set)) => Self::EpochOffer {
                        epoch,
                        set: KeySetId::from_hex(set)?,
                        principal: PrincipalId::from_hex(principal)?,
                    },
                }
            }
            [SESSIONS, writer, seq, "open"] => Self::Open(session(writer, seq)?),
            [SESSIONS, writer, seq, "end"] => Self::End(session(writer, seq)?),
            [SESSIONS, writer, seq, "beat", beat] => Self::Beat(session(writer, seq)?, number(beat)?),
            [PACKS, _, id] => Self::Pack(PackId::from_hex(id)?),
            [INDEXES, checkpoint, id] => {
                let (class, id) = match id.split_once('-')? {
                    ("c", id) => (IndexClass::Catalog, id),
                    ("d", id) => (IndexClass::Data, id),
                    _ => return None,
                };
                Self::Index { checkpoint: number(checkpoint)?, class, id: IndexId::from_hex(id)? }
            }
            [CENSUS, id] => Self::Census(CensusId::from_hex(id)?, copy),
            [PINS, id] => Self::Pin(PinId::from_hex(id)?),
            [HOLDS, who, id] => Self::Hold { who: PrincipalId::from_hex(who)?, id: HoldId::from_hex(id)? },
            [LOG, position] => Self::Log(number(position)?, copy),
            _ => return None,
        })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(copy) => write!(f, "config{}", copy.suffix()),
            Self::Slot(id, copy) => write!(f, "{SLOTS}/{id}{}", copy.suffix()),
            Self::EpochKeys { epoch, principal } => write!(f, "{KEYS}/{epoch:020}/{principal}"),
            Self::EpochOffer { epoch, set, principal } => write!(f, "{KEYS}/{epoch:020}/{principal}-{set}"),
            Self::Open(session) => write!(f, "{session}/open"),
            Self::Beat(session, beat) => write!(f, "{session}/beat/{beat:020}"),
            Self::End(session) => write!(f, "{session}/end"),
            Self::Pack(id) => write!(f, "{PACKS}/{:02x}/{id}", id.0[0]),
            Self::Index { checkpoint, class, id } => {
                write!(f, "{INDEXES}/{checkpoint:020}/{}-{id}", class.letter())
            }
            Self::Census(id, copy) => write!(f, "{CENSUS}/{id}{}", copy.suffix()),
            Self::Pin(id) => write!(f, "{PINS}/{id}"),
            Self::Hold { who, id } => write!(f, "{HOLDS}/{who}/{id}"),
            Self::Log(position, copy) => write!(f, "{LOG}/{position:020}{}", copy.suffix()),
        }
    }
}

fn session(writer: &str, seq: &str) -> Option<SessionName> {
    Some(SessionName { writer: WriterId::from_hex(writer)?, seq: number(seq)? })
}

/// Exactly 20 decimal digits that fit 64 bits.
fn number(text: &str) -> Option<u64> {
    (text.len() == 20 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_name() -> Vec<(Name, String)> {
        let (sixteen, thirty_two) = ("ab".repeat(16), "cd".repeat(32));
        let session = SessionName { writer: WriterId([0xab; 16]), seq: 7 };
        let at = format!("sess/{sixteen}/00000000000000000007");
        let who = PrincipalId([0xab; 16]);
        let index = |class| Name::Index { checkpoint: 3, class, id: IndexId([0xcd; 32]) };
        vec![
            (Name::Config(Copy::First), "config".into()),
            (Name::Config(Copy::Second), "config.2".into()),
            (Name::Slot(SlotId([0xab; 16]), Copy::First), format!("slots/{sixteen}")),
            (Name::Slot(SlotId([0xab; 16]), Copy::Second), format!("slots/{sixteen}.2")),
            (Name::EpochKeys { epoch: 2, principal: who }, format!("keys/00000000000000000002/{sixteen}")),
            (
                Name::EpochOffer { epoch: 2, set: KeySetId([0xef; 16]), principal: who },
                format!("keys/00000000000000000002/{sixteen}-{}", "ef".repeat(16)),
            ),
            (Name::Open(session), format!("{at}/open")),
            (Name::Beat(session, 12), format!("{at}/beat/00000000000000000012")),
            (Name::End(session), format!("{at}/end")),
            (Name::Pack(PackId([0xcd; 32])), format!("packs/cd/{thirty_two}")),
            (index(IndexClass::Catalog), format!("idx/00000000000000000003/c-{thirty_two}")),
            (index(IndexClass::Data), format!("idx/00000000000000000003/d-{thirty_two}")),
            (Name::Census(CensusId([0xcd; 32]), Copy::Second), format!("census/{thirty_two}.2")),
            (Name::Pin(PinId([0xab; 16])), format!("pins/{sixteen}")),
            (Name::Hold { who, id: HoldId([0xab; 16]) }, format!("holds/{sixteen}/{sixteen}")),
            (Name::Log(u64::MAX, Copy::First), "log/18446744073709551615".into()),
            (Name::Log(0, Copy::Second), "log/00000000000000000000.2".into()),
        ]
    }

    #[test]
    fn names_go_both_ways() {
        for (name, text) in every_name() {
            assert_eq!(name.to_string(), text);
            assert_eq!(Name::parse(&name.object()), Some(name));
        }
    }

    #[test]
    fn only_the_layout_parses() {
        let id = "cd".repeat(32);
        for foreign in [
            "config.3".to_owned(),
            "log/1".to_owned(),
            "log/18446744073709551616".to_owned(),
            "log/0000000000000000000a".to_owned(),
            format!("packs/00/{id}"),
            format!("packs/cd/{id}.2"),
            format!("idx/00000000000000000003/x-{id}"),
            "keys/00000000004294967296/abababababababababababababababab".to_owned(),
            "sess/abababababababababababababababab/00000000000000000007/open.2".to_owned(),
            "lost+found".replace('+', "-"),
        ] {
            assert_eq!(Name::parse(&ObjectName::new(&foreign).unwrap()), None, "{foreign}");
        }
    }

    #[test]
    fn two_copies_are_each_others_other() {
        for (name, _) in every_name() {
            match name.other_copy() {
                Some(other) => assert_eq!((other.other_copy(), other.bound()), (Some(name), name.bound())),
                None => assert_eq!(Name::parse(&crate::store::ObjectName::new(&format!("{name}.2")).unwrap()), None),
            }
        }
    }

    #[test]
    fn copies_and_hashes_are_not_bound() {
        assert_eq!(Name::Log(5, Copy::Second).bound(), Name::Log(5, Copy::First).to_string());
        let index = |id| Name::Index { checkpoint: 3, class: IndexClass::Data, id: IndexId([id; 32]) };
        assert_eq!(index(1).bound(), "idx/00000000000000000003/d-");
        assert_eq!(index(1).bound(), index(2).bound());
        let bound: std::collections::BTreeSet<_> = every_name().iter().map(|(name, _)| name.bound()).collect();
        assert_eq!(bound.len(), 15);
    }
}
