//! Entries: what the log can say, as values.

use crate::crypto::hpke::SealingKey;
use crate::crypto::sign::PublicKey;
use crate::repo::id::{CensusId, HoldId, PackId, PrincipalId, SnapshotId, WriterId};
use crate::repo::keys::principal::principal_id;
use crate::repo::keys::role::Role;
use crate::repo::names::SessionName;
use crate::repo::session::IndexRef;

/// One entry of the log. Its decision is still bytes: see [`Self::decision`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub position: u64,
    /// Digest of the entry before that counts; for the first, the hash of the config.
    pub previous: [u8; 32],
    /// Digests of the objects between that one and this: they did not verify, and this entry voids them.
    pub voids: Vec<[u8; 32]>,
    /// Who decided.
    pub author: PrincipalId,
    /// When, in seconds since 1970 by the author's clock.
    pub time: i64,
    /// The number of the decision's type.
    pub kind: u64,
    /// The decision's bytes.
    pub body: Vec<u8>,
}

/// What an entry decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// These packs or segments are to go; whoever needs them stores them anew.
    Condemn {
        /// What is to go.
        targets: Vec<Target>,
        /// The newest snapshots that were marked before: what they hold is elsewhere too.
        marked: Vec<SnapshotId>,
    },
    /// These stay after all.
    Rescue {
        /// What stays.
        targets: Vec<Target>,
    },
    /// These may be deleted, and count as absent for ever.
    Final {
        /// What goes.
        targets: Vec<Target>,
        /// The newest log position that the author had read when it began to list sessions.
        listed: u64,
    },
    /// These snapshots are no longer kept.
    Forget(Vec<SnapshotId>),
    /// These are kept after all.
    Unforget(Vec<SnapshotId>),
    /// Stop forget and prune.
    Hold {
        /// Its name.
        id: HoldId,
        /// Who asked for it.
        asked_by: PrincipalId,
        /// Why, for people.
        reason: String,
    },
    /// A hold ends.
    Release(HoldId),
    /// A principal, or a change of its label, trust or right to attest.
    Cert(Cert),
    /// A principal's end.
    Revoke {
        /// Whose.
        principal: PrincipalId,
        /// The last records that stay, with all before them in their chains; writers not named have none.
        accepted: Vec<(WriterId, SnapshotId)>,
        /// Why, for people.
        reason: String,
    },
    /// A reader opened every chunk of a session.
    Attest {
        /// Which session.
        session: SessionName,
        /// Digest of the frame of its end.
        end: [u8; 32],
    },
    /// A snapshot's tags change.
    Tag {
        /// Which snapshot.
        snapshot: SnapshotId,
        /// Tags that it gets.
        add: Vec<String>,
        /// Tags that it loses.
        remove: Vec<String>,
    },
    /// A new generation of keys.
    Epoch {
        /// Its number, one more than the last.
        epoch: u32,
        /// What data keys are wrapped to.
        read: SealingKey,
    },
    /// The body of a config that overrides the one before.
    Config(Vec<u8>),
    /// What does not resolve by itself is decided.
    Resolve(Verdict),
    /// A census.
    Checkpoint {
        /// Its number, one more than the last; the first is 1.
        number: u64,
        /// The census.
        census: CensusId,
    },
    /// What packs hold was found damaged beyond repair, or is whole again.
    Suspect {
        /// Packs of which no place is good any more; what can be read of them stays readable.
        lost: Vec<PackId>,
        /// Packs that are whole again.
        whole: Vec<PackId>,
    },
    /// A type of a later version that may be skipped.
    Unknown,
}

/// What RESOLVE decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A session whose end does not verify did commit this record.
    Commit {
        /// Which session.
        session: SessionName,
        /// SHA-256 of the stored bytes of its end.
        end: [u8; 32],
        /// The record's bytes.
        record: Vec<u8>,
        /// The indexes that count with it.
        indexes: Vec<IndexRef>,
    },
    /// A session whose end does not verify did not commit.
    Abort {
        /// Which session.
        session: SessionName,
        /// SHA-256 of the stored bytes of its end.
        end: [u8; 32],
    },
    /// A record that a chain lacks is gone for good; the chain goes on after it.
    Gap {
        /// Whose chain.
        writer: WriterId,
        /// The missing record.
        missing: SnapshotId,
    },
}

/// A pack, or some of its segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The pack.
    pub pack: PackId,
    /// Which segments, by their place in the pack's table, ascending; none means the whole pack.
    pub segments: Vec<u32>,
}

impl Target {
    /// A whole pack.
    pub const fn pack(pack: PackId) -> Self {
        Self { pack, segments: Vec::new() }
    }

    /// The parts that this stands for.
    pub fn parts(&self) -> Vec<Part> {
        let segment = |&segment: &u32| Part { pack: self.pack, segment: Some(segment) };
        if self.segments.is_empty() {
            vec![Part { pack: self.pack, segment: None }]
        } else {
            self.segments.iter().map(segment).collect()
        }
    }
}

/// What is condemned or final: a whole pack, or one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part {
    /// The pack.
    pub pack: PackId,
    /// Which segment, or all of it.
    pub segment: Option<u32>,
}

/// A principal's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cert {
    /// What it signs with.
    pub signing: PublicKey,
    /// What others seal to.
    pub sealing: SealingKey,
    /// What it may do.
    pub role: Role,
    /// How people call it.
    pub label: String,
    /// Whose chunks it relies on, beside its own and an admin's; ascending.
    pub trusts: Vec<PrincipalId>,
    /// Whether its ATTEST entries count.
    pub may_attest: bool,
}

impl Cert {
    /// The principal's id.
    pub fn principal(&self) -> PrincipalId {
        principal_id(&self.signing, &self.sealing)
    }
}

/// What right an author needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// An admin's.
    Certify,
    /// A maintainer's or an admin's.
    Maintain,
    /// That of a reader whose certificate says so, or an admin's.
    Attest,
}

impl Decision {
    /// What right its author needs.
    pub const fn right(&self) -> Right {
        match self {
            Self::Cert(_) | Self::Revoke { .. } | Self::Epoch { .. } | Self::Config(_) => Right::Certify,
            Self::Attest { .. } => Right::Attest,
            _ => Right::Maintain,
        }
    }

    /// The word for it, as the format has it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Condemn { .. } => "CONDEMN",
            Self::Rescue { .. } => "RESCUE",
            Self::Final { .. } => "FINAL",
            Self::Forget(_) => "FORGET",
            Self::Unforget(_) => "UNFORGET",
            Self::Hold { .. } => "HOLD",
            Self::Release(_) => "RELEASE",
            Self::Cert(_) => "CERT",
            Self::Revoke { .. } => "REVOKE",
            Self::Attest { .. } => "ATTEST",
            Self::Tag { .. } => "TAG",
            Self::Epoch { .. } => "EPOCH",
            Self::Config(_) => "CONFIG",
            Self::Resolve(_) => "RESOLVE",
            Self::Checkpoint { .. } => "CHECKPOINT",
            Self::Suspect { .. } => "SUSPECT",
            Self::Unknown => "an entry of a later version",
        }
    }
}
