//! Runs the command line and ends with its exit code. All else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    boveda::cli::main()
}
