//! `boveda reference`, hidden: `docs/reference.md`, made from the same texts as the help.

use super::context::Context;
use super::error::{Code, Failure};
use super::help;

/// Print docs/reference.md
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Prints it.
pub fn run(_: &Arguments, context: &Context) -> Result<Code, Failure> {
    context.output().line(text().trim_end())?;
    Ok(Code::Ok)
}

const HEAD: &str = "# Reference

Every command with its options, made from the program itself by `boveda reference`. The [guide](guide.md) tells what to do with them.
";

/// The whole page.
fn text() -> String {
    let mut command = super::command();
    command.build();
    let mut text = HEAD.to_owned();
    text += "\n## Options of every command\n\n";
    text += &options(&command, false);
    for (heading, names) in help::GROUPS {
        let known: Vec<_> = names.iter().filter_map(|name| command.find_subcommand(name)).collect();
        if known.iter().any(|verb| verb.get_name() != "help") {
            text += &format!("\n## {heading}\n");
        }
        known.iter().filter(|verb| verb.get_name() != "help").for_each(|verb| section(verb, "boveda", &mut text));
    }
    text
}

fn section(command: &clap::Command, above: &str, text: &mut String) {
    let name = format!("{above} {}", command.get_name());
    *text += &format!("\n### {name}\n\n{}\n", about(command));
    let verbs: Vec<_> = command.get_subcommands().filter(|verb| verb.get_name() != "help").collect();
    if verbs.is_empty() {
        let arguments: Vec<_> =
            command.get_positionals().filter(|argument| !argument.is_hide_set()).map(shape).collect();
        *text += &format!("\n```\n{name} [OPTIONS]{}\n```\n\n", arguments.concat());
        *text += &options(command, true);
    }
    verbs.iter().for_each(|verb| section(verb, &name, text));
}

fn about(command: &clap::Command) -> String {
    let about = command.get_long_about().or_else(|| command.get_about());
    let mut text = about.map(ToString::to_string).unwrap_or_default();
    if let Some(first) = text.find('\n').or(Some(text.len())).filter(|_| !text.is_empty()) {
        text.insert(first, '.');
    }
    let aliases: Vec<_> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        text += &format!("\n\nAlso called {}.", aliases.join(", "));
    }
    text
}

/// ` <NAME>`, ` [NAME]…`.
fn shape(argument: &clap::Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let name = names.first().map_or_else(|| argument.get_id().to_string(), ToString::to_string);
    let several = argument.get_num_args().is_some_and(|range| range.max_values() > 1);
    let several = several || matches!(argument.get_action(), clap::ArgAction::Append);
    let (open, close) = if argument.is_required_set() { ('<', '>') } else { ('[', ']') };
    format!(" {open}{name}{close}{}", if several { "…" } else { "" })
}

/// A table of arguments and options; of a verb without those that every command takes.
fn options(command: &clap::Command, of_verb: bool) -> String {
    let wanted = |argument: &&clap::Arg| {
        let named = ["help", "version"].contains(&argument.get_id().as_str());
        !(argument.is_hide_set() || named || of_verb && argument.is_global_set())
    };
    let rows: Vec<_> = command.get_arguments().filter(wanted).map(row).collect();
    if rows.is_empty() { "No options of its own.\n".to_owned() } else { format!("| | |\n|---|---|\n{}", rows.concat()) }
}

fn row(argument: &clap::Arg) -> String {
    let value = || {
        let names = argument.get_value_names().unwrap_or_default();
        names.iter().map(|name| format!(" {name}")).collect::<String>()
    };
    let flag = if argument.is_positional() {
        value().trim_start().to_owned()
    } else {
        let takes = matches!(argument.get_action(), clap::ArgAction::Set | clap::ArgAction::Append);
        let short = argument.get_short().map(|short| format!("-{short}"));
        let long = argument.get_long().map(|long| format!("--{long}"));
        let names: Vec<_> = short.into_iter().chain(long).collect();
        format!("{}{}", names.join(", "), if takes { value() } else { String::new() })
    };
    let mut help =
        argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let possible: Vec<_> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !possible.is_empty() && possible.len() != 2
        || possible.iter().any(|value| value != "`true`" && value != "`false`")
    {
        help += &format!(": {}", possible.join(", "));
    }
    let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if defaults.iter().any(|value| !value.is_empty())
        && argument.get_action().takes_values()
        && !argument.is_hide_default_value_set()
    {
        help += &format!(" [default: {}]", defaults.join(","));
    }
    format!("| `{}` | {} |\n", flag.replace('|', "\\|"), help.replace('|', "\\|").replace('\n', " "))
}
