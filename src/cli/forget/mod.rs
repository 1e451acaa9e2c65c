//! `boveda forget`.

mod guarded;
mod json;
mod people;
mod rules;
mod undo;

use std::ffi::OsString;
use std::sync::Arc;

use super::context::Context;
use super::error::{Code, Failure};
use super::open::{Opened, open_to_act, require, shown};
use super::output::Output;
use super::selector::{Filter, Selector};
use super::snapshot_groups::Grouping;
use super::{prune, several, time};
use crate::ops::forget::{self, Error, Options, Plan, Wish};
use crate::ops::retention::{Guard, Rules};
use crate::repo::keys::role::Role;
use crate::repo::record::{SnapshotKind, Tokens};
use crate::repo::repository::{Repository, Snapshot};

/// Forget snapshots: those that no rule keeps, or those that are named
///
/// Without rules or names those of the configuration's [retention] hold. Snapshots of one host, of the same paths and taken by
/// the same principal are judged together; each group keeps its last good snapshot, and the tag `keep` keeps what has it.
/// Forgotten snapshots are gone from all listings, and come back with --undo until a prune has taken what they hold; only
/// then is space given back. Needs a maintainer's or an admin's keys; --dry-run also takes a reader's.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// (ID|latest|latest~N|@TIME): just these, whatever the rules say
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<OsString>,
    #[command(flatten)]
    rules: rules::Flags,
    /// Only snapshots of this kind; the others stay
    #[arg(long, value_name = "KIND", conflicts_with = "undo")]
    kind: Option<Kind>,
    /// What is judged together: the same `host`, `paths` or `tags`, or several of them; '' puts all together
    #[arg(short, long, value_name = "WHAT[,WHAT…]", value_parser = Grouping::parse, default_value = "host,paths",
        conflicts_with = "undo")]
    group_by: Grouping,
    /// Forget nothing; say what would go, why the others stay, and what it would free
    #[arg(short = 'n', long, conflicts_with = "undo")]
    dry_run: bool,
    /// Yes, also what looks like a mistake: most of a group at once, the last good snapshot, with a clock that is wrong
    #[arg(long, conflicts_with = "undo")]
    yes_really: bool,
    /// Bring forgotten snapshots back: these, those that pass the filters, or all that were forgotten last
    #[arg(long)]
    undo: bool,
    /// Prune afterwards, if anything was forgotten: what was forgotten does not come back then
    #[arg(long, conflicts_with = "undo")]
    prune: bool,
    #[command(flatten)]
    pruning: prune::Pruning,
    #[command(flatten)]
    filter: Filter,
}

/// A kind of snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Every byte was read
    Full,
    /// What had not changed was taken from the parent
    Incremental,
}

impl Kind {
    const fn is_of(self, snapshot: &Snapshot) -> bool {
        matches!(
            (self, snapshot.structure.kind),
            (Self::Full, SnapshotKind::Full) | (Self::Incremental, SnapshotKind::Incremental)
        )
    }
}

/// Forgets, shows, or brings back.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    if arguments.undo {
        return undo::run(arguments, context);
    }
    let rules = wanted(arguments, context)?;
    let selectors = match arguments.snapshots.is_empty() {
        true => Vec::new(),
        false => several::parse(&arguments.snapshots, &arguments.filter, context)?,
    };
    let output = Arc::new(context.stoppable_output()?);
    let mut opened = open_to_act(context, &output)?;
    let allowed = if arguments.dry_run { Role::reads_structure } else { Role::may_maintain };
    require(&opened.repository, allowed, "forgetting snapshots")?;
    if !arguments.filter.paths.is_empty() {
        require(&opened.repository, Role::reads_content, "choosing snapshots by their paths")?;
    }
    let wish = match rules {
        Some(rules) => Wish::Rules { rules, grouping: arguments.group_by.for_retention() },
        None => named(&selectors, arguments, &opened.repository, context)?,
    };
    let among = among(arguments, &opened.repository);
    let (meant, now, zone) = (arguments.yes_really, time::now(), context.zone.clone());
    let options = Options { wish, among: &among, meant, now, zone };
    let plan = carry_out(&mut opened, &options, arguments.dry_run, context, &output)?;
    if !arguments.dry_run {
        opened.host.remember(&opened.repository);
    }
    if output.json() {
        json::print(&plan, arguments, context, &output)?;
    } else {
        people::print(&plan, arguments, context, &output)?;
    }
    let code = match plan.budget {
        Some(budget) if !budget.fits => output.code().max(Code::Incomplete),
        _ => output.code(),
    };
    if !arguments.prune || arguments.dry_run || plan.goes().is_empty() {
        return Ok(code);
    }
    Ok(prune::carry_out(&mut opened, &arguments.pruning, false, context, &output)?.max(code))
}

fn named(
    selectors: &[Selector],
    arguments: &Arguments,
    repository: &Repository,
    context: &Context,
) -> Result<Wish, Failure> {
    let chosen = several::resolve(repository, selectors, &arguments.filter, context)?;
    let of_kind = |one: &&&Snapshot| arguments.kind.is_none_or(|kind| kind.is_of(one));
    Ok(Wish::Named(chosen.iter().filter(of_kind).map(|snapshot| snapshot.id).collect()))
}

fn carry_out(
    opened: &mut Opened,
    options: &Options<'_>,
    dry_run: bool,
    context: &Context,
    output: &Output,
) -> Result<Plan, Failure> {
    let Opened { repository, host } = opened;
    let planned = match dry_run {
        true => forget::plan(repository, host, options, true, output),
        false => forget::forget(repository, host, options, output),
    };
    let plan = planned.map_err(|error| output.stopped(failure(error, context)))?;
    if dry_run {
        if let Some((id, hold)) = forget::on_hold(repository) {
            output.warn(format!("this would be refused: hold {id} is in force: {}", hold.reason));
        }
        for text in guarded::texts(&plan, context).iter().filter(|_| !options.meant) {
            output.warn(format!("this would be refused without --yes-really: {text}"));
        }
    }
    Ok(plan)
}

/// The rules: those of the command line, or else of the configuration; none where snapshots are named.
fn wanted(arguments: &Arguments, context: &Context) -> Result<Option<Rules>, Failure> {
    let given = arguments.rules.rules();
    match (arguments.snapshots.is_empty(), given.is_empty()) {
        (false, false) => Err(Failure::usage("snapshots are named, and rules are given: which ones are meant?")),
        (false, true) => Ok(None),
        (true, false) => Ok(Some(given)),
        (true, true) => {
            let configured = context.config()?.map(|config| config.settings.retention.clone()).unwrap_or_default();
            if configured.is_empty() {
                return Err(Failure::usage("no rule says which snapshots stay, and none is named").hint(
                    "give rules such as --keep-daily 7, write [retention] in the configuration, or name snapshots",
                ));
            }
            Ok(Some(configured))
        }
    }
}

/// Whether the rules are about a snapshot. Hosts and tags are known by their tokens, so that a maintainer can choose too.
fn among(arguments: &Arguments, repository: &Repository) -> impl Fn(&Snapshot) -> bool + use<> {
    let (filter, kind) = (arguments.filter.clone(), arguments.kind);
    let key = repository.bundle().structure_key().clone();
    let ledger = repository.log().state.ledger().tags.clone();
    move |snapshot: &Snapshot| {
        let of_kind = kind.is_none_or(|kind| kind.is_of(snapshot));
        if snapshot.private.is_some() {
            return of_kind && filter.passes(&shown(snapshot).listed());
        }
        let tokens = &snapshot.structure.tokens;
        let has = |tag: &str| {
            let change = ledger.get(&snapshot.id);
            let added = change.is_some_and(|change| change.added.contains(tag));
            let removed = change.is_some_and(|change| change.removed.contains(tag));
            added || (!removed && tokens.tags.contains(&Tokens::tag(&key, tag)))
        };
        of_kind
            && (filter.hosts.is_empty() || filter.hosts.iter().any(|host| Tokens::host(&key, host) == tokens.host))
            && (filter.tags.is_empty() || filter.tags.iter().any(|tags| tags.split(',').all(has)))
    }
}

/// Why nothing was done, for people.
fn failure(error: Error, context: &Context) -> Failure {
    match error {
        Error::Repository(error) => error.into(),
        Error::OnHold { .. } => Failure::because(Code::Refused, &error)
            .hint("`boveda hold` shows all holds; when it is settled, `boveda release` ends them"),
        Error::Guarded(plan) => {
            let mut message = Error::Guarded(plan.clone()).to_string();
            for text in guarded::texts(&plan, context) {
                message += &format!("\n  {text}");
            }
            let clock = plan.guards.iter().any(|guard| matches!(guard, Guard::ClockBehind { .. }));
            Failure::new(Code::Refused, message).hint(match clock {
                true => "set this machine's clock; if it is right, add --yes-really",
                false => "look at it with --dry-run; if it is meant, add --yes-really",
            })
        }
    }
}
