//! How much of the machine a verb takes: options that several verbs share. A flag outranks a variable, and a variable the
//! configuration.

use std::io::{self, IsTerminal as _};
use std::num::NonZeroUsize;
use std::str::FromStr;

use super::context::Context;
use super::error::Failure;
use super::output::Output;
use crate::event::{Event, Level, Sink as _};
use crate::ops::neighbour::{Limits, Nice, give_way};
use crate::source::battery::Supplies;
use crate::source::pace::{Pacing, Rate};

/// Whether to give way: for every verb that takes long.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[command(next_help_heading = "How much of the machine it takes")]
pub struct Priority {
    /// Give way to other programs, with niceness 10 and the idle class of disks: auto (when neither standard input nor
    /// standard error is a terminal), on, off [default: auto; env: BOVEDA_NICE]
    #[arg(long, value_name = "MODE")]
    nice: Option<Nice>,
}

/// How many threads: for verbs that have more than one.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[command(next_help_heading = "How much of the machine it takes")]
pub struct Threads {
    /// So many threads do the work [default: one for each processor; env: BOVEDA_THREADS]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// How a source is read.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[command(next_help_heading = "How much of the machine it takes")]
pub struct Reading {
    /// Read no more bytes in a second than this, such as 50M [env: BOVEDA_LIMIT_READ]
    #[arg(long, value_name = "RATE")]
    limit_read: Option<Rate>,
    /// Read nothing while this machine runs on its battery; go on when there is mains power [env: BOVEDA_PAUSE_ON_BATTERY=yes]
    #[arg(long)]
    pause_on_battery: bool,
}

impl Priority {
    /// Gives way from now on, if it is to. Threads that run already do not: call it before the work begins, and after a
    /// password was hashed, which somebody may wait for.
    ///
    /// # Errors
    /// When variable or configuration are wrong.
    pub fn apply(self, context: &Context, output: &Output) -> Result<(), Failure> {
        let nice = choice(context, self.nice, "BOVEDA_NICE", |limits| limits.nice)?.unwrap_or_default();
        let terminal = io::stdin().is_terminal() || io::stderr().is_terminal();
        if nice.wanted(terminal)
            && let Err(error) = give_way()
        {
            // A container may forbid it; the work is the same.
            output.emit(Event::Message(Level::Debug, format!("this process keeps its priority: {error}")));
        }
        Ok(())
    }
}

impl Threads {
    /// How many; 0 for as many as there are processors.
    ///
    /// # Errors
    /// When variable or configuration are wrong.
    pub fn count(self, context: &Context) -> Result<usize, Failure> {
        let threads = choice(context, self.threads, "BOVEDA_THREADS", |limits| limits.threads)?;
        Ok(threads.map_or(0, NonZeroUsize::get))
    }
}

impl Reading {
    /// The pace of a source.
    ///
    /// # Errors
    /// When variable or configuration are wrong.
    pub fn pacing(self, context: &Context) -> Result<Pacing, Failure> {
        let limit = choice(context, self.limit_read, "BOVEDA_LIMIT_READ", |limits| limits.limit_read)?;
        let flag = self.pause_on_battery.then_some(Answer(true));
        let configured = |limits: &Limits| Some(Answer(limits.pause_on_battery));
        let pause = choice(context, flag, "BOVEDA_PAUSE_ON_BATTERY", configured)?.is_some_and(|answer| answer.0);
        Ok(Pacing { limit, pause_on_battery: pause.then(Supplies::default) })
    }
}

/// Yes or no, as a variable says it.
struct Answer(bool);

impl FromStr for Answer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "yes" | "true" | "on" | "1" => Ok(Self(true)),
            "no" | "false" | "off" | "0" => Ok(Self(false)),
            _ => Err("it is yes or no"),
        }
    }
}

/// What the flag says, else the variable, else the configuration.
fn choice<T: FromStr>(
    context: &Context,
    flag: Option<T>,
    variable: &str,
    configured: impl Fn(&Limits) -> Option<T>,
) -> Result<Option<T>, Failure>
where
    T::Err: std::fmt::Display,
{
    let given = match flag {
        Some(value) => Some(value),
        None => from_variable(context, variable)?,
    };
    match given {
        Some(value) => Ok(Some(value)),
        None => Ok(context.config()?.and_then(|config| configured(&config.settings.limits))),
    }
}

/// What a variable says, if it is set.
///
/// # Errors
/// When it says nothing that can be meant.
pub fn from_variable<T: FromStr>(context: &Context, variable: &str) -> Result<Option<T>, Failure>
where
    T::Err: std::fmt::Display,
{
    let Some(text) = context.variable(variable) else { return Ok(None) };
    let text = text.to_string_lossy();
    text.parse().map(Some).map_err(|error| Failure::usage(format!("{variable} is {text:?}: {error}")))
}
