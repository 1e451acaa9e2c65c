//! `boveda umount`.

use std::path::PathBuf;

use super::context::Context;
use super::error::{Code, Failure};
use crate::mount;

/// Take a mount away
///
/// Also clears one whose process is dead.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The folder it is mounted at
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Even if it is in use: it disappears now, and ends when its last user is done
    #[arg(short, long)]
    lazy: bool,
}

/// Unmounts.
pub fn run(arguments: &Arguments, _: &Context) -> Result<Code, Failure> {
    mount::unmount(&arguments.folder, arguments.lazy)?;
    Ok(Code::Ok)
}
