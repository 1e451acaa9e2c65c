//! The help as a table of contents: commands in groups, in the order in which they are met.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::error::Failure;

/// Headings and their commands.
pub const GROUPS: [(&str, &[&str]); 8] = [
    ("Begin", &["setup", "init", "config", "key"]),
    ("Keep", &["snapshot", "import-tar", "sync", "copy"]),
    ("Look", &["mount", "umount", "audit", "snapshots", "ls", "find", "versions", "diff"]),
    ("Bring back", &["restore", "dump", "export-tar", "recover"]),
    ("Tidy", &["tag", "forget", "prune", "hold", "release", "rewrite"]),
    ("Trust", &["verify", "repair"]),
    ("Look inside", &["stats", "list", "cat"]),
    ("This machine", &["doctor", "store", "cache", "unlock", "completions", "man", "version", "help"]),
];

/// The command with grouped help. Commands that are in no group stand under the last one's heading.
pub fn grouped(mut command: clap::Command) -> clap::Command {
    // clap adds `help` only when it builds the command.
    command.build();
    let contents = contents(&command);
    command
        .help_template(format!(
            "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{contents}Options of every command:\n{{options}}{{after-help}}"
        ))
        .after_help("`boveda help COMMAND` tells more. Guide, exit codes and JSON output: docs/ beside the source.")
}

fn contents(command: &clap::Command) -> String {
    let mut text = String::new();
    for (heading, names) in GROUPS {
        let known: Vec<_> = names.iter().filter_map(|name| command.find_subcommand(name)).collect();
        if known.is_empty() {
            continue;
        }
        text += &format!("{heading}:\n");
        for verb in known {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            text += &format!("  {:<13}{about}\n", verb.get_name());
        }
        text.push('\n');
    }
    text
}

/// A wrong command line as a failure: clap's own text, which names what is wrong and the usage, and where more stands.
pub fn explain(error: &clap::Error, arguments: &[OsString]) -> Failure {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // The help itself is the message, and too long for a line. If nobody can read it, the exit code says enough.
        let _ = error.print();
        return Failure::usage("");
    }
    let command = meant(arguments);
    if let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) {
        let hint = match error.get(ContextKind::SuggestedSubcommand) {
            Some(ContextValue::String(one)) => format!("did you mean `{one}`?"),
            Some(ContextValue::Strings(several)) if !several.is_empty() => {
                // The likeliest stands last.
                let names: Vec<_> = several.iter().rev().map(|name| format!("`{name}`")).collect();
                format!("did you mean {}?", names.join(" or "))
            }
            _ => format!("`{command} --help` lists them"),
        };
        return Failure::usage(format!("there is no command `{name}`")).hint(hint);
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let said = |line: &&str| !line.trim().is_empty() && !line.starts_with("For more information");
    let text = text.lines().filter(said).collect::<Vec<_>>().join("\n");
    Failure::usage(text).hint(format!("`{command} --help` explains its options"))
}

/// The command that a command line names, such as `boveda key add`, as far as it is one.
fn meant(arguments: &[OsString]) -> String {
    let root = super::command();
    let (mut command, mut words) = (&root, vec!["boveda"]);
    for argument in arguments.iter().skip(1) {
        if let Some(found) = command.find_subcommand(argument) {
            words.push(found.get_name());
            command = found;
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn every_command_stands_in_the_table_of_contents() {
        let mut command = super::super::Cli::command();
        command.build();
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let listed = GROUPS.iter().any(|(_, names)| names.contains(&verb.get_name()));
            assert!(listed, "`{}` is in no group", verb.get_name());
            assert!(verb.get_about().is_some(), "`{}` says nothing about itself", verb.get_name());
        }
    }

    #[test]
    fn the_command_that_was_meant_is_found() {
        let line = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(meant(&line("boveda key add --role king")), "boveda key add");
        assert_eq!(meant(&line("/usr/bin/boveda --json backup --wrong")), "boveda snapshot");
        assert_eq!(meant(&line("boveda --wrong")), "boveda");
    }

    #[test]
    fn the_table_of_contents_names_every_command_once_and_nothing_else() {
        let mut command = super::super::Cli::command();
        command.build();
        let mut names: Vec<_> = GROUPS.iter().flat_map(|(_, names)| names.iter()).collect();
        for name in &names {
            let verb = command.find_subcommand(name);
            assert!(verb.is_some_and(|verb| !verb.is_hide_set()), "there is no command `{name}`");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a command stands in two groups: {names:?}");
    }
}
