//! `boveda snapshot --debug-memory`: how much memory the options make a snapshot use.

use serde_json::json;

use super::error::{Code, Failure};
use super::output::{Output, size};
use crate::ops::snapshot::{Memory, Options, Part};

/// Shows the parts, a line each, and the sum.
///
/// # Errors
/// When standard output takes no more.
pub fn run(options: &Options, output: &Output) -> Result<Code, Failure> {
    let memory = Memory::of(options);
    if output.json() {
        let part = |part: &Part| json!({ "what": part.what, "count": part.count, "each": part.bytes });
        let parts: Vec<_> = memory.parts.iter().map(part).collect();
        let line = json!({ "message_type": "memory", "parts": parts, "total_bytes": memory.total() });
        output.json_line(&line)?;
        return Ok(Code::Ok);
    }
    for part in &memory.parts {
        let bytes = size(part.count * part.bytes);
        output.line(&format!("{bytes:>9}  {} ({} of {})", part.what, part.count, size(part.bytes)))?;
    }
    output.line(&format!("{:>9}  in all, besides the program", size(memory.total())))?;
    Ok(Code::Ok)
}
