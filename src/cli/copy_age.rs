//! How old the copies are, where the repository that they are copies of cannot be reached: that is when somebody needs to know.

use std::sync::Arc;

use serde_json::json;

use super::context::Context;
use super::copies::Target;
use super::error::{Code, Failure};
use super::escape;
use super::open::host;
use super::output::{Output, count};
use super::time::{now, rfc3339};
use crate::ops::sync::Stand;
use crate::ops::sync::stand;
use crate::repo::repository;

/// Whether a failure to open the source is one of reaching it.
pub const fn may_help(failure: &Failure) -> bool {
    matches!(failure.code, Code::Failed | Code::NoRepository)
}

/// Says how old each of these copies is. One that cannot be looked at is told of, and costs nothing more: the command has failed already.
pub fn tell(targets: &[Target], context: &Context, output: &Arc<Output>) {
    for target in targets {
        if output.signal().is_some() {
            return;
        }
        let told = look(target, context, output).and_then(|stand| print(target, &stand, output));
        if let Err(failure) = told {
            output.warn(format!("how old the copy {} is cannot be told: {}", target.name, failure.message));
        }
    }
}

fn look(target: &Target, context: &Context, output: &Arc<Output>) -> Result<Stand, Failure> {
    let store = target.open()?;
    let looked = repository::look(&store, &**output)?;
    let host = host(context, output)?;
    let copy = host.open_looked(&looked, &context.credential(output)?)?;
    Ok(stand::stand(&host, &copy, &**output))
}

fn print(target: &Target, stand: &Stand, output: &Output) -> Result<(), Failure> {
    let age = stand.newest.map(|newest| now().seconds.saturating_sub(newest.seconds).max(0));
    if output.json() {
        output.json_line(&json!({
            "message_type": "copy_age",
            "copy": target.name,
            "location": target.url.as_ref().map(ToString::to_string).unwrap_or_default(),
            "snapshots": stand.snapshots,
            "newest": stand.newest.map(rfc3339),
            "age_seconds": age,
            "behind_at_most": stand.behind,
        }))?;
        return Ok(());
    }
    let name = escape::line(&target.name);
    let newest = match (stand.newest, age) {
        (Some(newest), Some(age)) => format!(", the newest of {}, {} old", rfc3339(newest), in_words(age)),
        _ => String::new(),
    };
    let behind = match stand.behind {
        None => "; this machine never saw the repository itself".to_owned(),
        Some(0) => "; it has the newest that this machine knows of".to_owned(),
        Some(behind) => format!("; at most {} behind, as far as this machine knows", count(behind, "snapshot")),
    };
    output.remark(&format!("{name} has {}{newest}{behind}", count(stand.snapshots, "snapshot")))?;
    Ok(())
}

/// A time in the largest unit of which it has two.
fn in_words(seconds: i64) -> String {
    match seconds {
        0..120 => count(seconds, "second"),
        120..7200 => count(seconds / 60, "minute"),
        7200..172_800 => count(seconds / 3600, "hour"),
        _ => count(seconds / 86_400, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_the_largest_unit_of_which_there_are_two() {
        let shown = [1, 119, 120, 7199, 7200, 172_799, 172_800].map(in_words);
        assert_eq!(shown, ["1 second", "119 seconds", "2 minutes", "119 minutes", "2 hours", "47 hours", "2 days"]);
    }
}
