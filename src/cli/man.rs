//! `boveda man`: manual pages, made from the same texts as the help.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::context::Context;
use super::error::{Code, Failure};

/// Print the manual page, or write one for every command into a folder
///
/// `boveda man | man -l -` shows the first one; --dir ~/.local/share/man/man1 is where `man boveda` finds them.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write boveda.1, boveda-snapshot.1 … into this folder, which is made if it is not there
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// Prints or writes them.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let mut command = super::command();
    command.build();
    let Some(folder) = &arguments.dir else {
        let mut out = io::stdout().lock();
        out.write_all(&page(&command)?)?;
        out.flush()?;
        return Ok(Code::Ok);
    };
    let failed =
        |error: io::Error| Failure::new(Code::Failed, format!("cannot write to {}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(failed)?;
    let mut pages = vec![("boveda".to_owned(), command.clone())];
    collect(&command, "boveda", &mut pages);
    for (name, command) in &pages {
        let file = folder.join(format!("{name}.1"));
        fs::write(&file, page(command)?).map_err(failed)?;
    }
    say(folder, pages.len(), context)
}

fn say(folder: &Path, pages: usize, context: &Context) -> Result<Code, Failure> {
    let output = context.output();
    if output.json() {
        let folder = folder.to_string_lossy();
        output.json_line(&json!({ "message_type": "manual", "path": folder, "pages": pages }))?;
    }
    output.remark_for_people(&format!("{pages} pages in {}", folder.display()))?;
    Ok(Code::Ok)
}

/// Every visible command below `command`, with the name of its page.
fn collect(command: &clap::Command, prefix: &str, pages: &mut Vec<(String, clap::Command)>) {
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        let name = format!("{prefix}-{}", verb.get_name());
        pages.push((name.clone(), verb.clone()));
        collect(verb, &name, pages);
    }
}

fn page(command: &clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}
