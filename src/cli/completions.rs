//! `boveda completions`.

use std::io::{self, Write as _};

use clap_complete::Shell;

use super::context::Context;
use super::error::{Code, Failure};

/// Print completions for a shell
///
/// For bash they belong into ~/.local/share/bash-completion/completions/boveda, for fish into
/// ~/.config/fish/completions/boveda.fish, for zsh into a file _boveda in a folder of $fpath.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Which shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Prints them.
pub fn run(arguments: &Arguments, _: &Context) -> Result<Code, Failure> {
    // Made whole first: a reader that goes away must not look like a failure of the generator.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::command(), "boveda", &mut script);
    let mut out = io::stdout().lock();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Code::Ok)
}
