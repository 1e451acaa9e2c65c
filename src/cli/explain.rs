//! `boveda snapshot --explain`: which rule puts a path in or out.

use serde_json::{Value, json};

use super::error::{Code, Failure};
use super::escape;
use super::output::{Output, put_path};
use crate::event::{Event, Sink as _};
use crate::repo::entry::EntryPath;
use crate::source::files::explain::{Outside, Verdict, explain};
use crate::source::files::reason::Reason;
use crate::source::files::walk;

/// Explains each path on a line of its own.
///
/// # Errors
/// When none of the walk's roots is there, or standard output takes no more.
pub fn run(options: &walk::Options, paths: &[EntryPath], output: &Output) -> Result<Code, Failure> {
    for path in paths {
        match explain(options, path) {
            Ok(verdict) if output.json() => output.json_line(&json_line(path, &verdict))?,
            Ok(verdict) => output.line(&line(path, &verdict))?,
            Err(problem) => {
                let error = problem.cause.to_string();
                output.emit(Event::Problem { path: problem.path, during: problem.during, error });
            }
        }
    }
    Ok(output.code())
}

fn line(path: &EntryPath, verdict: &Verdict) -> String {
    let shown = |path: &EntryPath| escape::name(&path.to_bytes());
    let words = escape::line(&words(verdict));
    match verdict {
        Verdict::In { .. } | Verdict::Way { .. } => format!("in   {}: {words}", shown(path)),
        Verdict::Out { at, .. } if at == path => format!("out  {}: {words}", shown(path)),
        Verdict::Out { at, .. } => format!("out  {}: {}: {words}", shown(path), shown(at)),
    }
}

/// Why, as words that follow the path that was decided about.
fn words(verdict: &Verdict) -> String {
    let shown = |path: &EntryPath| escape::name(&path.to_bytes());
    match verdict {
        Verdict::In { brought_back: Some(rule), .. } => format!("brought back by {rule}"),
        Verdict::In { root, .. } => format!("{} was asked for", shown(root)),
        Verdict::Way { root } => format!("it is on the way to {}; nothing else in it is taken in", shown(root)),
        Verdict::Out { why, .. } => match why {
            Outside::NotAsked => "it was not asked for".to_owned(),
            Outside::Rule(rule) => rule.to_string(),
            Outside::OtherFileSystem => "--one-file-system: another file system begins here".to_owned(),
            Outside::KernelFileSystem => "it shows the kernel's state and no files; name it to take it in".to_owned(),
            Outside::Repository => "it is the repository itself".to_owned(),
            Outside::MountedRepository => {
                "it is a mount of boveda's, which shows snapshots; name it to take it in".to_owned()
            }
        },
    }
}

fn json_line(path: &EntryPath, verdict: &Verdict) -> Value {
    let mut value = json!({ "message_type": "explanation", "included": true, "why": words(verdict) });
    put_path(&mut value, "item", &path.to_bytes());
    match verdict {
        Verdict::In { root, brought_back } => {
            put_path(&mut value, "root", &root.to_bytes());
            brought_back.iter().for_each(|rule| put_rule(&mut value, rule));
        }
        Verdict::Way { root } => put_path(&mut value, "root", &root.to_bytes()),
        Verdict::Out { at, why } => {
            value["included"] = false.into();
            put_path(&mut value, "decided_at", &at.to_bytes());
            match why {
                Outside::Rule(rule) => put_rule(&mut value, rule),
                Outside::OtherFileSystem => value["option"] = "--one-file-system".into(),
                Outside::NotAsked | Outside::KernelFileSystem | Outside::Repository | Outside::MountedRepository => {}
            }
        }
    }
    value
}

fn put_rule(value: &mut Value, rule: &Reason) {
    value["option"] = rule.option.into();
    if let Some(file) = &rule.file {
        put_path(value, "file", file);
    }
    if let Some(line) = rule.line {
        value["line"] = line.into();
    }
    if !rule.text.is_empty() {
        put_path(value, "rule", &rule.text);
    }
}
