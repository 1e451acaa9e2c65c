//! `boveda verify`.

use std::sync::Arc;

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::open::open;
use super::output::size;
use crate::ops::verify::{self, Level};

/// Prove that the repository holds what it promises
///
/// Damage is named with the files that it costs, and ends with exit code 4, also where parity can still heal it.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// quick: listings, sizes and chains; structure: also every catalog; full: every byte
    #[arg(long, value_enum, default_value_t = Depth::Structure, value_name = "LEVEL")]
    level: Depth,
}

/// [`Level`], as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Depth {
    Quick,
    Structure,
    Full,
}

/// Verifies.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let opened = open(context, &output)?;
    let (level, name) = match arguments.level {
        Depth::Quick => (Level::Quick, "quick"),
        Depth::Structure => (Level::Structure, "structure"),
        Depth::Full => (Level::Full, "full"),
    };
    let summary = verify::verify(&opened.repository, &opened.host, level, &*output)?;
    output.clear();
    if output.json() {
        output.json_line(&json!({
            "message_type": "summary",
            "level": name,
            "num_errors": summary.findings.len(),
            "healable": summary.findings.iter().filter(|finding| finding.healable).count(),
            "snapshots": summary.snapshots,
            "packs": summary.packs,
            "chunks": summary.chunks,
            "bytes_read": summary.bytes,
            "files_affected": summary.affected.len(),
            "total_duration": summary.seconds,
        }))?;
    } else {
        let verdict = match summary.findings.len() {
            0 => "all is well".to_owned(),
            number => format!("{number} findings, {} files affected", summary.affected.len()),
        };
        output.remark(&format!(
            "{verdict}: {} snapshots, {} packs, {} chunks and {} read in {:.1} s ({name})",
            summary.snapshots,
            summary.packs,
            summary.chunks,
            size(summary.bytes),
            summary.seconds
        ))?;
    }
    Ok(if summary.findings.is_empty() { output.code() } else { Code::Damage })
}
