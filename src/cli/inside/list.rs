//! `boveda list`.

use std::io::{self, BufWriter, Write as _};
use std::sync::Arc;

use serde_json::{Value, json};

use super::cat::state;
use super::kinds::{self, Room, session_id};
use super::{objects, segments};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::escape;
use crate::cli::open::{Opened, open, require};
use crate::cli::output::Output;
use crate::event::{Event, Sink as _};
use crate::repo::id::ChunkKind;
use crate::repo::keys::role::Role;
use crate::repo::names::{IndexClass, Name};
use crate::repo::repository::{self, Content, Indexes, Repository};
use crate::repo::session::IndexRef;

/// List the objects of one kind, by the ids that `cat` takes
///
/// Each line starts with the id; with --quiet it is the id alone.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to list
    #[arg(value_enum, value_name = "KIND")]
    kind: Kind,
}

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Packs,
    #[value(alias = "index")]
    Idx,
    Snapshots,
    Sessions,
    Slots,
    Log,
    Keys,
    Census,
    #[value(alias = "blobs")]
    Chunks,
}

/// Lists them.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    let opened = open(context, &output)?;
    if arguments.kind != Kind::Slots {
        require(&opened.repository, Role::reads_structure, "looking inside")?;
    }
    let mut list = List { out: BufWriter::new(io::stdout().lock()), output: &output, quiet: context.quiet() };
    list.all(arguments.kind, &opened)?;
    list.out.flush()?;
    Ok(output.code())
}

struct List<'a> {
    out: BufWriter<io::StdoutLock<'static>>,
    output: &'a Output,
    quiet: bool,
}

impl List<'_> {
    fn all(&mut self, kind: Kind, opened: &Opened) -> Result<(), Failure> {
        let repository = &opened.repository;
        match kind {
            Kind::Packs => self.room(Room::Packs, repository),
            Kind::Idx => self.room(Room::Indexes, repository),
            Kind::Slots => self.room(Room::Slots, repository),
            Kind::Log => self.room(Room::Log, repository),
            Kind::Keys => self.room(Room::Keys, repository),
            Kind::Census => self.room(Room::Census, repository),
            Kind::Snapshots => self.snapshots(repository),
            Kind::Sessions => self.sessions(repository),
            Kind::Chunks => self.chunks(repository),
        }
    }

    fn room(&mut self, room: Room, repository: &Repository) -> Result<(), Failure> {
        for (name, bytes) in room.list(repository)? {
            let mut value = json!({ "kind": "", "bytes": bytes });
            let about = describe(&name, repository, &mut value);
            if let Some(why) = value["unreadable"].as_str() {
                let what = why.to_owned();
                self.output.emit(Event::Damage { object: name.to_string(), what, healed: false });
            }
            self.line(&kinds::id(&name), &about, value)?;
        }
        Ok(())
    }

    /// Every record that counts, those of forgotten snapshots too.
    fn snapshots(&mut self, repository: &Repository) -> Result<(), Failure> {
        for (id, found) in &repository.view().snapshots {
            let session = session_id(&found.record.link().session);
            let about = format!("session {session}{}", if found.forgotten { "  forgotten" } else { "" });
            let value = json!({ "kind": "snapshot", "session": session, "forgotten": found.forgotten });
            self.line(&id.to_string(), &about, value)?;
        }
        Ok(())
    }

    fn sessions(&mut self, repository: &Repository) -> Result<(), Failure> {
        for session in kinds::sessions(repository)?.keys() {
            let state = state(repository, session);
            self.line(&session_id(session), state, json!({ "kind": "session", "state": state }))?;
        }
        Ok(())
    }

    /// Every chunk that the indexes name, once.
    fn chunks(&mut self, repository: &Repository) -> Result<(), Failure> {
        let indexes = Indexes::load(repository, &IndexClass::BOTH)?;
        for kind in [ChunkKind::Data, ChunkKind::Payload, ChunkKind::Skeleton] {
            let name = segments::kind(kind);
            for id in indexes.chunks.chunks(kind) {
                let id = id.map_err(repository::Error::from)?;
                self.line(&id.to_string(), name, json!({ "kind": "chunk", "chunk_kind": name }))?;
            }
        }
        Ok(())
    }

    fn line(&mut self, id: &str, about: &str, mut value: Value) -> Result<(), Failure> {
        if self.output.json() {
            value["message_type"] = "object".into();
            value["id"] = id.into();
            writeln!(self.out, "{value}")?;
        } else if self.quiet {
            writeln!(self.out, "{id}")?;
        } else {
            writeln!(self.out, "{id}  {}", escape::line(about))?;
        }
        Ok(())
    }
}

/// What a line says of an object beside its id. One that cannot be opened is listed all the same.
fn describe(name: &Name, repository: &Repository, value: &mut Value) -> String {
    let bytes = value["bytes"].clone();
    match *name {
        Name::Pack(_) => {
            value["kind"] = "pack".into();
            format!("{bytes} bytes")
        }
        Name::Index { checkpoint, class, id } => {
            let counts = repository.view().indexes.contains(&IndexRef { checkpoint, class, id });
            value["kind"] = "index".into();
            value["class"] = objects::class(class).into();
            value["counts"] = counts.into();
            format!("{}  {bytes} bytes{}", objects::class(class), if counts { "" } else { "  does not count" })
        }
        Name::Census(..) => {
            value["kind"] = "census".into();
            format!("{bytes} bytes")
        }
        Name::EpochKeys { epoch, principal } => {
            value["kind"] = "epoch_keys".into();
            value["epoch"] = epoch.into();
            value["principal"] = principal.to_string().into();
            label(repository, &principal)
        }
        Name::Slot(..) => {
            value["kind"] = "slot".into();
            opened(repository, name, value, |content, value| match content {
                Content::Slot(header) => {
                    value["opened_by"] = header.kind.noun().into();
                    value["role"] = header.role.name().into();
                    format!("{}  {}", header.role, header.kind.noun())
                }
                _ => String::new(),
            })
        }
        Name::Log(..) => {
            value["kind"] = "log_entry".into();
            opened(repository, name, value, |content, value| match content {
                Content::Log(entry) => {
                    let word = entry.decision().map_or("unreadable", |decision| decision.word());
                    let time = objects::seconds(entry.time);
                    value["type"] = word.into();
                    value["time"] = time.as_str().into();
                    value["author"] = entry.author.to_string().into();
                    format!("{time}  {word}  by {}", label(repository, &entry.author))
                }
                _ => String::new(),
            })
        }
        _ => String::new(),
    }
}

fn opened(
    repository: &Repository,
    name: &Name,
    value: &mut Value,
    describe: impl Fn(Content, &mut Value) -> String,
) -> String {
    match repository.content(name) {
        Ok(content) => describe(content, value),
        Err(error) => {
            let why = crate::cli::error::chain(&error);
            value["unreadable"] = why.as_str().into();
            format!("unreadable: {why}")
        }
    }
}

fn label(repository: &Repository, principal: &crate::repo::id::PrincipalId) -> String {
    let known = repository.log().state.trust().principal(principal);
    known.map_or_else(|| principal.to_string(), |known| known.cert.label.clone())
}
