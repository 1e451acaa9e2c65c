//! What a snapshot is compared with, and how it is kept: options of `snapshot` beside what it takes in.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use super::context::Context;
use super::error::Failure;
use super::neighbour::from_variable;
use super::open::{Opened, find};
use super::output::{parse_size, size};
use super::selector::{Filter, Selector};
use crate::ops::snapshot::{Delta, Options, Parent, PartialAfter};
use crate::repo::effort::Effort;
use crate::repo::names::IndexClass;
use crate::repo::pack::PackSize;

/// The options.
#[derive(Debug, clap::Args)]
pub struct How {
    /// Compare with this snapshot, not with the newest of the same host and paths
    #[arg(long, value_name = "SNAPSHOT", help_heading = "What is read")]
    parent: Option<OsString>,
    /// Keep the times of last access too
    #[arg(long, help_heading = "How it is recorded")]
    with_atime: bool,
    /// Take no snapshot if nothing changed since the last one of the same host and paths
    #[arg(long, help_heading = "How it is recorded")]
    skip_if_unchanged: bool,
    /// How large packs become: 4M to 128M [default: 32M]
    #[arg(long, value_name = "SIZE", help_heading = "How it is recorded")]
    pack_size: Option<String>,
    /// Take no snapshot; show how much memory these options make it use
    #[arg(long, help_heading = "How much of the machine it takes")]
    pub debug_memory: bool,
    /// Leave a partial snapshot after so many bytes [default: 64G], and after each hour
    #[arg(long, value_name = "SIZE", hide = true)]
    partial_after: Option<String>,
}

/// How hard to compress.
#[derive(Debug, clap::Args)]
pub struct Compressing {
    /// auto (between fast and default, as hard as costs no time), off, fast (1), default (3), high (9), or a level from 1 to
    /// 19; what does not get smaller is never compressed [default: auto; env: BOVEDA_COMPRESSION]
    #[arg(long, value_name = "HOW", help_heading = "How it is recorded")]
    compression: Option<Effort>,
}

/// Whether to make deltas.
#[derive(Debug, clap::Args)]
pub struct Deltas {
    /// auto (what is new in a large file is stored as what changed since its last snapshot, where that is half as much at
    /// most), or off [default: auto; env: BOVEDA_DELTA]
    #[arg(long, value_name = "HOW", help_heading = "How it is recorded")]
    delta: Option<Delta>,
}

impl Deltas {
    /// What the flag says, else the variable, else the configuration.
    ///
    /// # Errors
    /// When the variable says nothing that can be meant.
    pub fn choice(&self, configured: Option<Delta>, context: &Context) -> Result<Delta, Failure> {
        let given = match self.delta {
            Some(delta) => Some(delta),
            None => from_variable(context, "BOVEDA_DELTA")?,
        };
        Ok(given.or(configured).unwrap_or_default())
    }
}

impl Compressing {
    /// What the flag says, else the variable, else the configuration.
    ///
    /// # Errors
    /// When the variable says nothing that can be meant.
    pub fn effort(&self, configured: Option<Effort>, context: &Context) -> Result<Effort, Failure> {
        let given = match self.compression {
            Some(effort) => Some(effort),
            None => from_variable(context, "BOVEDA_COMPRESSION")?,
        };
        Ok(given.or(configured).unwrap_or_default())
    }
}

impl How {
    /// `options` with what can be said before the repository is open.
    ///
    /// # Errors
    /// When a size is none.
    pub fn apply(&self, options: Options) -> Result<Options, Failure> {
        let (with_atime, skip_if_unchanged) = (self.with_atime, self.skip_if_unchanged);
        let pack_size = self.pack_size.as_deref().map_or_else(|| Ok(PackSize::default()), pack_size)?;
        let partial = self.partial_after.as_deref().map_or_else(|| Ok(PartialAfter::default()), partial_after)?;
        Ok(Options { with_atime, skip_if_unchanged, pack_size, partial, ..options })
    }

    /// The parent that was asked for.
    ///
    /// # Errors
    /// When it names no snapshot, or a path in one; or when the indexes cannot be read.
    pub fn parent(&self, opened: &Opened, context: &Context) -> Result<Option<Parent>, Failure> {
        let Some(text) = &self.parent else { return Ok(None) };
        let selector = Selector::parse(text.as_bytes(), &context.zone)?;
        if selector.path.is_some() {
            return Err(Failure::usage("--parent takes a whole snapshot, without a path"));
        }
        // A partial one is as good a parent as any.
        let filter = Filter { partial: true, ..Filter::default() };
        let snapshot = find(&opened.repository, &selector, &filter, context)?;
        let reads = opened.repository.bundle().role().reads_content();
        let tree = reads.then(|| opened.tree(snapshot, &[IndexClass::Catalog])).transpose()?;
        Ok(Some(Parent { id: snapshot.id, tree }))
    }
}

fn pack_size(text: &str) -> Result<PackSize, Failure> {
    let wrong = || {
        let (least, most) = (size(PackSize::SMALLEST), size(PackSize::LARGEST));
        Failure::usage(format!("--pack-size {text:?} is no size of a pack; it must lie between {least} and {most}"))
            .hint("write it like 16M")
    };
    parse_size(text).and_then(PackSize::new).ok_or_else(wrong)
}

fn partial_after(text: &str) -> Result<PartialAfter, Failure> {
    let bytes = parse_size(text)
        .ok_or_else(|| Failure::usage(format!("--partial-after {text:?} is no size; write it like 10G")))?;
    Ok(PartialAfter { bytes, ..PartialAfter::default() })
}
