//! `boveda snapshots`.

use std::sync::Arc;

use super::context::Context;
use super::error::{Code, Failure};
use super::open::{open, require, shown};
use super::selector::Filter;
use super::snapshot_list::table;
use crate::repo::keys::role::Role;
use crate::repo::record::Completeness;

/// List the snapshots, oldest first
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    filter: Filter,
}

/// Lists them.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    let opened = open(context, &output)?;
    require(&opened.repository, Role::reads_structure, "listing snapshots")?;
    let mut all: Vec<_> = opened.repository.snapshots().iter().map(shown).collect();
    all.retain(|snapshot| arguments.filter.partial || snapshot.structure.completeness == Completeness::Complete);
    all.retain(|snapshot| arguments.filter.is_empty() || arguments.filter.passes(&snapshot.listed()));
    all.sort_by_key(|snapshot| snapshot.structure.time);
    if output.json() {
        all.iter().try_for_each(|snapshot| output.json_line(&snapshot.json()))?;
    } else if all.is_empty() {
        output.remark("no snapshots")?;
    } else {
        table(&all, &context.zone).iter().try_for_each(|line| output.line(line))?;
        output.remark(&format!("{} snapshot{}", all.len(), if all.len() == 1 { "" } else { "s" }))?;
    }
    Ok(output.code())
}
