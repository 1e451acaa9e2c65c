//! Parses, runs, and ends with the exit code. All else is in the library.

fn main() {}
