//! Questions on the terminal whose answers may be seen.

use std::io::{self, BufRead as _, Write as _};

use super::super::error::{Code, Failure};

/// Asks; an empty answer is `default`.
///
/// # Errors
/// When the terminal fails or is closed.
pub fn line(question: &str, default: &str) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::new(Code::Failed, format!("cannot ask on the terminal: {error}"));
    let mut err = io::stderr().lock();
    write!(err, "{question} [{default}] ").and_then(|()| err.flush()).map_err(failed)?;
    drop(err);
    let mut answer = String::new();
    if io::stdin().lock().read_line(&mut answer).map_err(failed)? == 0 {
        return Err(Failure::usage("no answer: the input has ended").hint("--yes takes the defaults"));
    }
    let answer = answer.trim();
    Ok(if answer.is_empty() { default.to_owned() } else { answer.to_owned() })
}

/// Asks for a yes, until the answer is one or the other.
///
/// # Errors
/// As [`line`].
pub fn yes(question: &str) -> Result<bool, Failure> {
    loop {
        match line(question, "yes")?.to_lowercase().as_str() {
            "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => {}
        }
    }
}
