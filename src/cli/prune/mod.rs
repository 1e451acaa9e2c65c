//! `boveda prune`, and what `boveda forget --prune` does after the forgetting.

mod json;
mod people;

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::error::{Code, Failure};
use super::open::{Opened, open_to_act, require};
use super::output::{Output, parse_size};
use super::time;
use crate::ops::prune::{self, Error, Limit, Options};
use crate::repo::keys::role::Role;

/// Give back the space of what no snapshot needs any more
///
/// Snapshots may be taken and read meanwhile. What forgotten snapshots alone held is gone afterwards: they do not come back. Snapshots that were
/// under way before the prune are waited for; where they take too long it ends with exit code 3, and the next prune goes on. Needs a maintainer's or an
/// admin's keys, which need not be able to read; --dry-run also takes a reader's.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Delete nothing; say what would go
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    flags: Pruning,
}

/// How a prune treats sessions of others.
#[derive(Debug, Clone, clap::Args)]
pub struct Pruning {
    /// How long to wait for snapshots that are under way: `90`, `30s`, `10m`, `2h`
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1m", help_heading = "Pruning")]
    wait: Duration,
    /// How much may stay in packs that is not needed, before packs are made anew without it: `10%` of what is needed, `500M`,
    /// `unlimited` (needs an admin's keys; a maintainer's leave it)
    #[arg(long, value_name = "LIMIT", value_parser = limit, default_value = "5%", help_heading = "Pruning")]
    max_unused: Limit,
    /// Put small packs together, as many short snapshots leave them (needs an admin's keys)
    #[arg(long, help_heading = "Pruning")]
    repack_small: bool,
    /// How much is copied at most when packs are made anew: `2G`
    #[arg(long, value_name = "SIZE", value_parser = bytes, help_heading = "Pruning")]
    max_repack_size: Option<u64>,
    /// Make no more packs anew after this time; the next prune goes on: `30m`, `2h`
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Pruning")]
    max_time: Option<Duration>,
    /// Leave packs where they are for so long after they were given up, for readers whose keys may not write: `12h`, `2d`. The next prune
    /// after that deletes them
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s", help_heading = "Pruning")]
    delete_after: Duration,
    /// Nobody else writes to the repository now: what looks like a snapshot under way is dead, and is ended
    #[arg(long, help_heading = "Pruning")]
    exclusive: bool,
}

/// Prunes, or says what would go.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.stoppable_output()?);
    let mut opened = open_to_act(context, &output)?;
    let allowed = if arguments.dry_run { Role::reads_structure } else { Role::may_maintain };
    require(&opened.repository, allowed, "pruning")?;
    carry_out(&mut opened, &arguments.flags, arguments.dry_run, context, &output)
}

/// Prunes an open repository, and prints what came of it.
///
/// # Errors
/// When nothing, or nothing more, could be pruned.
pub fn carry_out(
    opened: &mut Opened,
    flags: &Pruning,
    dry_run: bool,
    context: &Context,
    output: &Output,
) -> Result<Code, Failure> {
    let Opened { repository, host } = opened;
    let options = Options {
        dry_run,
        exclusive: flags.exclusive,
        wait: flags.wait,
        max_unused: flags.max_unused,
        repack_small: flags.repack_small,
        max_repack: flags.max_repack_size,
        max_time: flags.max_time,
        delete_after: flags.delete_after,
        checkpoint_at: None,
        now: time::now().seconds,
    };
    let pruned = prune::prune(repository, host, &options, output);
    let summary = pruned.map_err(|error| output.stopped(failure(error)))?;
    if !dry_run {
        host.remember(repository);
    }
    output.clear();
    if output.json() {
        json::print(&summary, dry_run, output)?;
    } else {
        people::print(&summary, dry_run, context, output)?;
    }
    if let Some(signal) = output.signal() {
        return Ok(signal);
    }
    let done = dry_run || summary.is_complete();
    Ok(if done { output.code() } else { output.code().max(Code::Incomplete) })
}

/// Why nothing was done, for people.
fn failure(error: Error) -> Failure {
    match error {
        Error::Repository(error) => error.into(),
        Error::OnHold { .. } => Failure::because(Code::Refused, &error)
            .hint("`boveda hold` shows all holds; when it is settled, `boveda release` ends them"),
        Error::Asked { .. } => Failure::because(Code::Refused, &error)
            .hint("look at why it was asked for; enter it with `boveda hold --why`, or remove the object"),
        Error::NotAlone { .. } => Failure::because(Code::Refused, &error)
            .hint("make sure that nobody else writes to the repository until it is over, and say so with --exclusive"),
        Error::InDoubt(_) => Failure::because(Code::Damage, &error).hint(
            "`boveda verify` tells what is damaged, `boveda repair` mends what can be mended, `boveda repair sessions` \
             decides what became of sessions and snapshots that nothing brings back; prune again after that",
        ),
    }
}

fn bytes(text: &str) -> Result<u64, &'static str> {
    parse_size(text).ok_or("write a size such as 500M or 2G")
}

fn limit(text: &str) -> Result<Limit, &'static str> {
    if text == "unlimited" {
        return Ok(Limit::Unlimited);
    }
    let Some(share) = text.strip_suffix('%') else {
        return parse_size(text)
            .map(Limit::Bytes)
            .ok_or("write a share such as 10%, a size such as 500M, or `unlimited`");
    };
    // Tenths of a percent are thousandths.
    let (whole, tenth) = share.split_once('.').unwrap_or((share, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| digits(text));
    match (number(whole), number(tenth)) {
        (Some(whole), Some(tenth)) if whole <= 1000 && tenth <= 9 => Ok(Limit::Thousandths(whole * 10 + tenth)),
        _ => Err("write a share such as 10% or 2.5%"),
    }
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    const KNOWN: &str = "write seconds, or a number with s, m, h or d";
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(KNOWN),
    };
    let number: u64 = number.parse().map_err(|_| KNOWN)?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or("that is too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_shares_sizes_or_none() {
        assert_eq!([limit("5%"), limit("2.5%")], [Ok(Limit::Thousandths(50)), Ok(Limit::Thousandths(25))]);
        assert_eq!([limit("0"), limit("0%")], [Ok(Limit::Bytes(0)), Ok(Limit::Thousandths(0))]);
        assert_eq!([limit("unlimited"), limit("2M")], [Ok(Limit::Unlimited), Ok(Limit::Bytes(2 << 20))]);
        for wrong in ["", "%", "-1%", "5.55%", "+5%", "much", "2000%"] {
            assert!(limit(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        let seconds = |text| duration(text).map(|time| time.as_secs()).ok();
        assert_eq!([seconds("0"), seconds("90"), seconds("30s")], [Some(0), Some(90), Some(30)]);
        assert_eq!([seconds("10m"), seconds("2h"), seconds("1d")], [Some(600), Some(7200), Some(86_400)]);
        for wrong in ["", "s", "-1", "1.5h", "10 m", "99999999999999999999", "9999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
