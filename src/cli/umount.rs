//! `boveda umount`.

use std::path::PathBuf;

use super::context::Context;
use super::error::{Code, Failure};
use super::mount_place;
use crate::mount;

/// Take a mount away
///
/// Also clears one whose process is dead. Without FOLDER: what `boveda mount` made without one.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The folder it is mounted at
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Even if it is in use: it disappears now, and ends when its last user is done
    #[arg(short, long)]
    lazy: bool,
}

/// Unmounts.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let place = arguments.folder.clone().map_or_else(|| mount_place::place(context), Ok)?;
    mount::unmount(&place, arguments.lazy)?;
    Ok(Code::Ok)
}
