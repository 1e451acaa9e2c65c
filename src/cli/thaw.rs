//! Before a command reads what a snapshot holds: packs in an archive tier are named, asked for, and waited for, as it is told to.

use serde_json::json;

use super::error::{Code, Failure};
use super::open::Opened;
use super::output::{Output, count, size};
use crate::event::{Event, Level, Sink as _};
use crate::ops::prune::Packs;
use crate::ops::select::Select;
use crate::ops::thaw::{self, Found};
use crate::repo::catalog::Tree;
use crate::repo::chunk_index::ChunkIndex;
use crate::repo::entry::EntryPath;
use crate::store::archive::{Speed, Thaw};

/// What to do about archive tiers.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Archive tiers (S3 Glacier, Azure Archive)")]
pub struct Thawing {
    /// Packs that lie in an archive tier: no (what is in them is left out), ask (ask for them, and end with 3), wait (ask, and go on
    /// when they can be read)
    #[arg(long, value_name = "WHAT", default_value = "no")]
    thaw: What,
    /// How soon they are to come back: bulk, standard, expedited; sooner costs more
    #[arg(long, value_name = "TIER", default_value = "standard")]
    thaw_tier: Tier,
    /// For how many days S3 keeps them readable
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
    thaw_days: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    No,
    Ask,
    Wait,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Tier {
    Bulk,
    Standard,
    Expedited,
}

/// What is about to be read.
pub struct Reading<'a> {
    /// The snapshot's catalog.
    pub tree: &'a Tree,
    /// Where its chunks are.
    pub index: &'a ChunkIndex,
    /// The part of the snapshot.
    pub selection: &'a EntryPath,
    /// Of that part, what patterns leave.
    pub select: &'a Select,
    /// Whether nothing is written by who asks: then nothing is asked for, only looked.
    pub dry_run: bool,
    /// Whether standard output is taken by what is read.
    pub taken: bool,
}

impl Thawing {
    /// Asks for what is archived, if it is to; a dry run only looks. Returns the code to end with where nothing is to be read yet.
    ///
    /// # Errors
    /// When the place fails or refuses.
    pub fn prepare(self, reading: &Reading<'_>, opened: &Opened, output: &Output) -> Result<Option<Code>, Failure> {
        if self.thaw == What::No {
            return Ok(None);
        }
        let speed = match self.thaw_tier {
            Tier::Bulk => Speed::Bulk,
            Tier::Standard => Speed::Standard,
            Tier::Expedited => Speed::Expedited,
        };
        let how = Some(Thaw { speed, days: self.thaw_days }).filter(|_| !reading.dry_run);
        let store = opened.repository.store();
        loop {
            let Reading { tree, index, selection, select, .. } = reading;
            let needed = thaw::needed(tree, index, selection, select, output);
            let found = thaw::look(&**store, &needed, how.as_ref(), output)?;
            output.clear();
            if let Some(signal) = output.signal() {
                return Ok(Some(signal));
            }
            tell(&found, needed.hidden, how.is_some(), reading.taken, output)?;
            if found.pending.is_empty() || reading.dry_run {
                return Ok(None);
            }
            if self.thaw == What::Ask {
                output.warn(format!("run the same command again after about {}", hours(found.hours)));
                return Ok(Some(Code::Incomplete));
            }
            if !thaw::wait(&**store, found.pending, output)? {
                return Ok(output.signal());
            }
            if !needed.hidden {
                return Ok(None);
            }
        }
    }
}

fn tell(found: &Found, hidden: bool, asked: bool, taken: bool, output: &Output) -> Result<(), Failure> {
    let Found { needed, archived, hours: time, .. } = found;
    if output.json() && !taken {
        let packs = |packs: &Packs| json!({ "packs": packs.packs, "bytes": packs.bytes });
        output.json_line(&json!({
            "message_type": "thaw",
            "needed": packs(needed),
            "archived": packs(archived),
            "asked": asked && archived.packs > 0,
            "hours": (archived.packs > 0).then_some(time),
            "catalog_archived": hidden,
        }))?;
        return Ok(());
    }
    let packs = |packs: &Packs| format!("{} ({})", count(packs.packs, "pack"), size(packs.bytes));
    if archived.packs == 0 {
        let text = format!("{} needed, none in an archive tier", packs(needed));
        output.emit(Event::Message(Level::Debug, text));
        return Ok(());
    }
    let verb = if asked { "asked for" } else { "would be asked for" };
    output.warn(format!(
        "{} of {} needed lie in an archive tier: {verb}, back in about {}",
        packs(archived),
        packs(needed),
        hours(*time)
    ));
    if hidden {
        output.warn(
            "pages of the catalog are among them: what lies behind these is found, and asked for, when they are back",
        );
    }
    Ok(())
}

fn hours(hours: u32) -> String {
    count(hours, "hour")
}
