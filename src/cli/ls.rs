//! `boveda ls`.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use super::context::Context;
use super::error::{Code, Failure};
use super::listing;
use super::open::{below, find, open_to_read, require, shown};
use super::output::Output;
use super::selector::{Filter, Selector};
use crate::ops::unreadable;
use crate::repo::catalog::Tree;
use crate::repo::entry::{Entry, EntryKind, EntryPath};
use crate::repo::keys::role::Role;
use crate::repo::names::IndexClass;
use crate::repo::reader::Keep;

/// List what is in a snapshot, or in one folder of it
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// (ID|latest|latest~N|@TIME)[:/abs/path]; with the path of a folder, what is directly in it
    #[arg(value_name = "SNAPSHOT[:/PATH]")]
    selector: OsString,
    /// Folders or files of it; relative to the folder behind the colon, if there is one
    #[arg(value_name = "PATH")]
    below: Vec<OsString>,
    /// Show mode, owner, group, size, time and link target
    #[arg(short, long)]
    long: bool,
    /// All that is below the given folder
    #[arg(short = 'R', long)]
    recursive: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Lists the entries.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    let selector = Selector::parse(arguments.selector.as_bytes(), &context.zone)?;
    let opened = open_to_read(context, &output, Keep::Catalogs)?;
    require(&opened.repository, Role::reads_content, "listing a snapshot's files")?;
    let snapshot = find(&opened.repository, &selector, &arguments.filter, context)?;
    let tree = opened.tree(snapshot, &[IndexClass::Catalog])?;
    if output.json() {
        output.json_line(&shown(snapshot).json())?;
    }
    // Listings are long: one buffer for all lines, written out at the end or when it is full.
    let mut list = List { out: BufWriter::new(io::stdout().lock()), output: &output, arguments, context };
    match (&selector.path, &arguments.below[..]) {
        (None, []) => list.all(&tree, &EntryPath::default())?,
        (Some(path), []) => list.folder(&tree, path, &selector)?,
        (base, paths) => {
            for path in paths {
                list.folder(&tree, &below(base.as_ref(), path)?, &selector)?;
            }
        }
    }
    list.out.flush()?;
    Ok(output.code())
}

struct List<'a> {
    out: BufWriter<io::StdoutLock<'static>>,
    output: &'a Output,
    arguments: &'a Arguments,
    context: &'a Context,
}

impl List<'_> {
    fn folder(&mut self, tree: &Tree, path: &EntryPath, selector: &Selector) -> Result<(), Failure> {
        let Some(found) = tree.get(path)? else {
            let path = super::escape::name(&path.to_bytes());
            return Err(Failure::new(Code::Failed, format!("there is no {path} in snapshot {selector}"))
                .hint("`boveda find` looks for a name in all snapshots"));
        };
        if found.entry.kind != EntryKind::Directory {
            return self.entry(path, &found.entry);
        }
        if self.arguments.recursive {
            return self.all(tree, path);
        }
        for child in tree.children(path, None) {
            match child {
                Ok((_, name, entry)) => self.entry(&path.join(name), &entry)?,
                Err(error) => unreadable::report(self.output, path.to_bytes(), &error),
            }
        }
        Ok(())
    }

    fn all(&mut self, tree: &Tree, path: &EntryPath) -> Result<(), Failure> {
        for item in tree.walk(path) {
            match item {
                Ok((path, entry)) => self.entry(&path, &entry)?,
                Err(error) => unreadable::report(self.output, path.to_bytes(), &error),
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &EntryPath, entry: &Entry) -> Result<(), Failure> {
        if self.output.json() {
            writeln!(self.out, "{}", listing::node(path, entry))?;
        } else {
            writeln!(self.out, "{}", listing::line(path, entry, self.arguments.long, &self.context.zone))?;
        }
        Ok(())
    }
}
