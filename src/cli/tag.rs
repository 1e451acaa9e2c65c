//! `boveda tag`.

use std::ffi::OsString;
use std::sync::Arc;

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};
use super::open::{open_near, require};
use super::selector::Filter;
use super::{escape, several};
use crate::ops::tag::{self, Options};
use crate::repo::keys::role::Role;

/// Change the tags of snapshots
///
/// The snapshots keep their ids: tags are decisions of the log beside them. Needs a maintainer's or an admin's keys.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// (ID|latest|latest~N|@TIME); without any, all that pass the filters
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<OsString>,
    /// Tags to add; `A,B` or more than once for several
    #[arg(long, value_name = "TAG[,TAG…]", value_delimiter = ',', required_unless_present_any = ["remove", "set"])]
    add: Vec<String>,
    /// Tags to take away
    #[arg(long, value_name = "TAG[,TAG…]", value_delimiter = ',')]
    remove: Vec<String>,
    /// Exactly these tags, whatever there was; `--set ''` takes all away
    #[arg(long, value_name = "TAG[,TAG…]", value_delimiter = ',', conflicts_with_all = ["add", "remove"])]
    set: Option<Vec<String>>,
    #[command(flatten)]
    filter: Filter,
}

/// Changes them.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    let options = options(arguments)?;
    let selectors = several::parse(&arguments.snapshots, &arguments.filter, context)?;
    let mut opened = open_near(context, &output)?;
    require(&opened.repository, Role::may_maintain, "changing tags")?;
    let chosen = several::resolve(&opened.repository, &selectors, &arguments.filter, context)?;
    let ids: Vec<_> = chosen.iter().map(|snapshot| snapshot.id).collect();
    let changed = tag::tag(&mut opened.repository, &ids, &options)?;
    opened.host.remember(&opened.repository);
    for one in &changed {
        if output.json() {
            output.json_line(&json!({
                "message_type": "changed", "snapshot_id": one.snapshot.to_string(), "tags": one.tags,
            }))?;
        } else {
            let tags = if one.tags.is_empty() { "no tags".to_owned() } else { escape::line(&one.tags.join(",")) };
            output.line(&format!("{}  {tags}", one.snapshot.short()))?;
        }
    }
    if output.json() {
        output.json_line(&json!({
            "message_type": "summary", "changed_snapshots": changed.len(), "unchanged_snapshots": ids.len() - changed.len(),
        }))?;
    } else {
        output.remark(&format!("{} of {} snapshots changed", changed.len(), ids.len()))?;
    }
    Ok(output.code())
}

fn options(arguments: &Arguments) -> Result<Options, Failure> {
    if arguments.add.iter().chain(&arguments.remove).any(String::is_empty) {
        return Err(Failure::usage("an empty tag is none").hint("`--set ''` takes all tags away"));
    }
    let set = arguments.set.as_ref().map(|tags| tags.iter().filter(|tag| !tag.is_empty()).cloned().collect());
    if let Some(both) = arguments.add.iter().find(|tag| arguments.remove.contains(tag)) {
        return Err(Failure::usage(format!("tag {both:?} is to be added and removed: which one is meant?")));
    }
    Ok(Options { set, add: arguments.add.clone(), remove: arguments.remove.clone() })
}
