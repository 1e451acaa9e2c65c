//! `boveda cat`.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::{self, Room, session_id};
use super::{objects, pages, segments};
use crate::cli::context::Context;
use crate::cli::error::{Code, Failure};
use crate::cli::escape;
use crate::cli::open::{Opened, find, open, require};
use crate::cli::output::{Output, put_path};
use crate::cli::selector::{Filter, Selector};
use crate::event::{Event, Sink as _};
use crate::repo::catalog::{Fault, Tree, open_page};
use crate::repo::chunks::ChunkSource as _;
use crate::repo::id::{ChunkId, ChunkKind, PrincipalId};
use crate::repo::keys::role::Role;
use crate::repo::names::{Copy, IndexClass, Name, SessionName};
use crate::repo::reader::{DEFAULT_CACHE, Reader};
use crate::repo::repository::{self, Content, Repository};
use crate::repo::session::IndexRef;
use crate::repo::session_view::Outcome;

/// Show one object of the repository as JSON, or a chunk's bytes
///
/// `config`; `slot`, `idx`, `pack`, `census`, `page` and `chunk` with an ID; `log NUMBER`; `session WRITER/NUMBER`;
/// `keys EPOCH/PRINCIPAL`; `snapshot SNAPSHOT`; `tree SNAPSHOT[:/PATH]`. Ids may be shortened. Keys are never shown.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What kind of object
    #[arg(value_enum, value_name = "KIND")]
    kind: Kind,
    /// Which one; `boveda list` shows what there is
    #[arg(value_name = "ID")]
    id: Option<OsString>,
    #[command(flatten)]
    filter: Filter,
}

/// What can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Config,
    Slot,
    Log,
    Session,
    Snapshot,
    Tree,
    Page,
    #[value(alias = "index")]
    Idx,
    Pack,
    Census,
    Keys,
    #[value(alias = "blob")]
    Chunk,
}

/// Shows it.
pub fn run(arguments: &Arguments, context: &Context) -> Result<Code, Failure> {
    let output = Arc::new(context.output());
    let id = match (&arguments.id, arguments.kind) {
        (None, Kind::Config) => OsString::new(),
        (Some(_), Kind::Config) => return Err(Failure::usage("there is one config: it takes no ID")),
        (Some(id), _) => id.clone(),
        (None, _) => {
            return Err(Failure::usage("which one? An ID is missing").hint("`boveda list` shows what there is"));
        }
    };
    let selector = match arguments.kind {
        Kind::Snapshot | Kind::Tree => Some(Selector::parse(id.as_bytes(), &context.zone)?),
        _ => None,
    };
    let opened = open(context, &output)?;
    if !matches!(arguments.kind, Kind::Config | Kind::Slot) {
        require(&opened.repository, Role::reads_structure, "looking inside")?;
    }
    let look = Look { opened: &opened, context, filter: &arguments.filter };
    let id = id.to_string_lossy();
    match (arguments.kind, selector) {
        (Kind::Snapshot, Some(selector)) => show(&look.snapshot(&selector)?, &output)?,
        (_, Some(selector)) => show(&look.tree(&selector)?, &output)?,
        (Kind::Session, None) => show(&look.session(&id, &output)?, &output)?,
        (Kind::Page, None) => show(&look.page(&id)?, &output)?,
        (Kind::Chunk, None) => return look.chunk(&id, &output),
        (kind, None) => show(&look.object(kind, &id)?, &output)?,
    }
    Ok(output.code())
}

/// One line for scripts, many for people: then fit for a terminal.
fn show(value: &Value, output: &Output) -> Result<(), Failure> {
    if output.json() {
        return Ok(output.json_line(value)?);
    }
    let mut value = value.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("message_type");
    }
    Ok(output.line(&escape::json(&format!("{value:#}")))?)
}

struct Look<'a> {
    opened: &'a Opened,
    context: &'a Context,
    filter: &'a Filter,
}

impl Look<'_> {
    /// An object that is one in the store too.
    fn object(&self, kind: Kind, text: &str) -> Result<Value, Failure> {
        let repository = &self.opened.repository;
        let room = match kind {
            Kind::Slot => Room::Slots,
            Kind::Log => Room::Log,
            Kind::Idx => Room::Indexes,
            Kind::Pack => Room::Packs,
            Kind::Census => Room::Census,
            Kind::Keys => Room::Keys,
            _ => return self.value(&Name::Config(Copy::First)),
        };
        self.value(&room.find(repository, text)?)
    }

    fn value(&self, name: &Name) -> Result<Value, Failure> {
        let repository = &self.opened.repository;
        let id = kinds::id(name);
        Ok(match (repository.content(name)?, name) {
            (Content::Config(config), _) => objects::config(&config),
            (Content::Slot(header), _) => objects::slot(&id, &header),
            (Content::Log(entry), _) => objects::entry(&entry, self.label(&entry.author)),
            (Content::Census(census), _) => objects::census(&id, &census),
            (Content::Pack(table), _) => objects::table(&id, repository.store().length(&name.object())?, &table),
            (Content::Index(signer, body), Name::Index { checkpoint, class, id }) => {
                let reference = IndexRef { checkpoint: *checkpoint, class: *class, id: *id };
                objects::index(&reference, signer, &body, repository.view().indexes.contains(&reference))
            }
            (Content::EpochKeys { principal, role, epoch, mechanism }, _) => json!({
                "message_type": "epoch_keys", "id": id, "principal": principal.to_string(), "role": role.name(),
                "epoch": epoch, "mechanism": mechanism,
            }),
            (Content::Open(open), _) => objects::opening(&open),
            (Content::End(end), _) => objects::end(&end),
            (Content::Beat(beat), _) => json!({ "time": objects::seconds(beat.time) }),
            (Content::Index(..), _) => return Err(Failure::new(Code::Damage, format!("{name} is no index"))),
        })
    }

    fn label(&self, principal: &PrincipalId) -> Option<&str> {
        let known = self.opened.repository.log().state.trust().principal(principal);
        known.map(|known| known.cert.label.as_str())
    }

    /// All objects of a session. One that cannot be read does not hide the others.
    fn session(&self, text: &str, output: &Output) -> Result<Value, Failure> {
        let repository = &self.opened.repository;
        let session = kinds::session(repository, text)?;
        let mut value = json!({
            "message_type": "session",
            "id": session_id(&session),
            "writer": session.writer.to_string(),
            "number": session.seq,
            "state": state(repository, &session),
        });
        let mut beats = Vec::new();
        for name in kinds::sessions(repository)?.remove(&session).unwrap_or_default() {
            let content = self.value(&name).unwrap_or_else(|failure| {
                let what = failure.message.clone();
                output.emit(Event::Damage { object: name.to_string(), what, healed: false });
                json!({ "unreadable": failure.message })
            });
            match name {
                Name::Open(_) => value["open"] = content,
                Name::End(_) => value["end"] = content,
                _ => beats.push(content),
            }
        }
        value["beats"] = beats.into();
        Ok(value)
    }

    fn snapshot(&self, selector: &Selector) -> Result<Value, Failure> {
        if selector.path.is_some() {
            return Err(Failure::usage("a snapshot's record has no paths: `boveda cat tree` takes one"));
        }
        let repository = &self.opened.repository;
        let snapshot = find(repository, selector, self.filter, self.context)?;
        let found = repository.view().snapshots.get(&snapshot.id);
        let found =
            found.ok_or_else(|| Failure::new(Code::Failed, format!("snapshot {} has no record", snapshot.id)))?;
        Ok(pages::record(snapshot, found))
    }

    /// An entry, and if it is a folder what is directly in it.
    fn tree(&self, selector: &Selector) -> Result<Value, Failure> {
        let repository = &self.opened.repository;
        require(repository, Role::reads_content, "reading a catalog")?;
        let snapshot = find(repository, selector, self.filter, self.context)?;
        let tree: Tree = self.opened.tree(snapshot, &[IndexClass::Catalog])?;
        let path = selector.path.clone().unwrap_or_default();
        let mut value = json!({
            "message_type": "tree", "snapshot_id": snapshot.id.to_string(), "page": snapshot.structure.root.to_string(),
        });
        put_path(&mut value, "path", &path.to_bytes());
        match tree.get(&path)? {
            Some(found) => value["node"] = pages::node(&path, &found.entry),
            None if path.0.is_empty() => {}
            None => {
                let path = escape::name(&path.to_bytes());
                return Err(Failure::new(Code::Failed, format!("there is no {path} in snapshot {selector}")));
            }
        }
        let mut nodes = Vec::new();
        for child in tree.children(&path, None) {
            let (_, name, entry) = child?;
            nodes.push(pages::node(&path.join(name), &entry));
        }
        value["nodes"] = nodes.into();
        Ok(value)
    }

    fn page(&self, text: &str) -> Result<Value, Failure> {
        require(&self.opened.repository, Role::reads_content, "reading a catalog")?;
        let reader = self.reader(&[IndexClass::Catalog])?;
        let (_, id) = chunk_named(&reader, text, |kind| kind == ChunkKind::Skeleton)?;
        let page = open_page(&reader, &id).map_err(|fault| fault_of(&id, &fault))?;
        Ok(pages::page(&id, &page))
    }

    /// A chunk's bytes; for scripts that want JSON, where it lies.
    fn chunk(&self, text: &str, output: &Output) -> Result<Code, Failure> {
        let reader = self.reader(&IndexClass::BOTH)?;
        let (kind, id) = chunk_named(&reader, text, |_| true)?;
        if output.json() {
            let places = reader.index().places(kind, &id);
            let place = |place: &crate::repo::chunk_index::Place| {
                json!({
                    "pack": place.pack.id.to_string(), "good": place.pack.good, "position": place.position,
                    "offset": place.segment.offset, "length": place.segment.length,
                    "codec": segments::codec(place.segment.codec), "origin": segments::origin(&place.segment.origin),
                })
            };
            output.json_line(&json!({
                "message_type": "chunk", "id": id.to_string(), "kind": segments::kind(kind),
                "places": places.iter().map(place).collect::<Vec<_>>(),
            }))?;
            return Ok(output.code());
        }
        let mut out = io::stdout().lock();
        if out.is_terminal() {
            return Err(Failure::usage("a chunk's bytes are not for a terminal")
                .hint("send them to a file or a program, or use --json to see where they lie"));
        }
        let bytes = reader.get(kind, &id).map_err(|error| Failure::from(repository::Error::Chunk(error)))?;
        out.write_all(&bytes)?;
        out.flush()?;
        Ok(output.code())
    }

    fn reader(&self, classes: &[IndexClass]) -> Result<Reader, Failure> {
        Ok(self.opened.host.reader(&self.opened.repository, classes, DEFAULT_CACHE)?)
    }
}

/// What became of a session.
pub fn state(repository: &Repository, session: &SessionName) -> &'static str {
    match repository.view().sessions.get(session) {
        Some(Outcome::Committed(_)) => "committed",
        Some(Outcome::Aborted) => "aborted",
        Some(Outcome::Unresolved { .. }) => "unresolved",
        None => "covered",
    }
}

/// The chunk whose id starts with `text`, among those of the kinds asked for.
fn chunk_named(
    reader: &Reader,
    text: &str,
    wanted: impl Fn(ChunkKind) -> bool,
) -> Result<(ChunkKind, ChunkId), Failure> {
    // A whole id needs no look at all the others.
    if let Some(id) = ChunkId::from_hex(text) {
        let kinds = [ChunkKind::Data, ChunkKind::Payload, ChunkKind::Skeleton].into_iter().filter(|kind| wanted(*kind));
        if let Some(kind) = kinds.into_iter().find(|kind| reader.index().has(*kind, &id)) {
            return Ok((kind, id));
        }
    }
    let mut found = Vec::new();
    for named in reader.index().segments() {
        let (_, segment) = named.map_err(repository::Error::from)?;
        let fits = |id: &&ChunkId| wanted(segment.kind) && id.to_string().starts_with(text);
        found.extend(segment.ids.iter().filter(fits).map(|id| (segment.kind, *id)));
    }
    found.sort_unstable();
    found.dedup();
    kinds::one(
        "chunk",
        text,
        found.into_iter().map(|one| (one, format!("{} ({})", one.1, segments::kind(one.0)))).collect(),
    )
}

fn fault_of(id: &ChunkId, fault: &Fault) -> Failure {
    match fault {
        Fault::Chunk(error) => repository::Error::Chunk(error.clone()).into(),
        other => Failure::new(Code::Damage, format!("catalog page {id}: {other}")),
    }
}
