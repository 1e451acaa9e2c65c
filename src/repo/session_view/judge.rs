//! Judging one session, and one census: which of their records, indexes and signers count.

use super::{Error, Flaw, Found, Issue, Object, Outcome, Signed, Snapshot, View};
use crate::crypto::sign::PublicKey;
use crate::repo::census::{Census, Receipt};
use crate::repo::frame::Frame;
use crate::repo::id::{PackId, PrincipalId, WriterId};
use crate::repo::log::{IndexKeys, State, Verdict as Resolved};
use crate::repo::names::{Name, SessionName};
use crate::repo::record::Record;
use crate::repo::session::{Certified, CopiedRecord, End, IndexRef, Open, Signer, Verdict};
use std::collections::BTreeSet;

/// A judgement that may fail for the object, inside one that may fail for lack of a key.
type Judged<T> = Result<Result<T, Flaw>, Error>;

/// What a valid end says.
enum Valid {
    Commit(Vec<Snapshot>, Vec<IndexRef>, Brought),
    Abort,
}

/// What came with records and indexes from another copy of the repository.
#[derive(Default)]
struct Brought {
    /// Who signed there.
    installations: Vec<Certified>,
    /// Packs that the indexes name and that did not come along.
    left_out: BTreeSet<PackId>,
}

/// Takes in what a census says.
pub(super) fn census(view: &mut View, state: &State, census: &Census) {
    view.watermarks.clone_from(&census.watermarks);
    view.indexes.extend(census.indexes.iter().copied());
    for certified in &census.certificates {
        if let Ok(installation) = certify(state, &certified.certificate.writer, certified) {
            let of_writer = view.covered.entry(certified.certificate.writer).or_default();
            of_writer.insert(certified.principal, installation);
            keep(view, certified);
            // One that never had a session here signed what was brought from elsewhere.
            if !census.watermarks.contains_key(&certified.certificate.writer) {
                bring(view, certified, installation);
            }
        }
    }
    for listed in &census.records {
        let certified = &census.certificates[listed.certificate];
        if listed.copied
            && let Ok(installation) = certify(state, &certified.certificate.writer, certified)
        {
            bring(view, certified, installation);
        }
        let first = state.ledger().checkpoint.map(|named| Receipt { checkpoint: named.number, time: named.time });
        match prove(state, &listed.record, certified) {
            Ok(record) => {
                let receipt = listed.receipt.or(first);
                let snapshot = snapshot(state, record, certified.principal, receipt, listed.copied);
                view.snapshots.insert(snapshot.record.id(), snapshot);
            }
            Err(flaw) => {
                let id = crate::repo::id::SnapshotId(crate::crypto::hash::sha256(&listed.record));
                view.issues.push(Issue::BadRecord(id, flaw));
            }
        }
    }
}

/// Takes in a session above its watermark.
pub(super) fn session(
    view: &mut View,
    state: &State,
    session: &SessionName,
    found: &Found,
    keys: &IndexKeys<'_>,
) -> Result<(), Error> {
    let opened = match &found.open {
        Some(object) => opening(state, session, object, keys)?.map(|(signed, certified)| {
            keep(view, &certified);
            Some(signed)
        }),
        None => Ok(None),
    };
    let opener = opened.as_ref().ok().copied().flatten();
    let mut signed = opener;
    let outcome = match &found.end {
        None => Outcome::Unresolved { beat: found.beat },
        Some(object) => match ending(state, session, object, opener, keys)? {
            Ok((valid, signer)) => {
                if let Some((_, certified)) = &signer {
                    keep(view, certified);
                }
                signed = signer.map(|(signed, _)| signed).or(opener);
                accept(view, state, session, valid)
            }
            Err(flaw) => resolve(view, state, session, object, opener, flaw),
        },
    };
    if opened.is_err() || (found.end.is_some() && opener.is_none()) {
        view.issues.push(Issue::NoOpening(*session, opened.err()));
    }
    if let Some(signed) = signed {
        view.signed.insert(*session, signed);
    }
    view.sessions.insert(*session, outcome);
    Ok(())
}

/// Remembers who signed, at another copy of the repository, what was brought here.
fn bring(view: &mut View, certified: &Certified, installation: PublicKey) {
    view.elsewhere.entry(certified.certificate.writer).or_default().insert(certified.principal, installation);
}

/// Remembers an installation's certificate, which was verified.
fn keep(view: &mut View, certified: &Certified) {
    view.certificates.insert((certified.certificate.writer, certified.principal), *certified);
}

fn accept(view: &mut View, state: &State, session: &SessionName, valid: Valid) -> Outcome {
    match valid {
        Valid::Abort => Outcome::Aborted,
        Valid::Commit(snapshots, indexes, brought) => {
            let ids = snapshots.iter().map(|snapshot| snapshot.record.id()).collect();
            for index in indexes {
                leave_out(view, &index, &brought.left_out);
                view.indexes.insert(index);
            }
            for certified in &brought.installations {
                let writer = certified.certificate.writer;
                if let Ok(installation) = certify(state, &writer, certified) {
                    bring(view, certified, installation);
                    keep(view, certified);
                }
            }
            for snapshot in snapshots {
                // A snapshot's own record says more than a copy of it.
                let own = snapshot.record.link().session == *session;
                let id = snapshot.record.id();
                if own || !view.snapshots.contains_key(&id) {
                    view.snapshots.insert(id, snapshot);
                }
            }
            Outcome::Committed(ids)
        }
    }
}

/// Of the packs that an index names, those count as never brought that all who brought it leave out: nobody can take away what
/// another one brought.
fn leave_out(view: &mut View, index: &IndexRef, left_out: &BTreeSet<PackId>) {
    if !view.indexes.contains(index) {
        if !left_out.is_empty() {
            view.left_out.insert(*index, left_out.clone());
        }
    } else if let Some(packs) = view.left_out.get_mut(index) {
        packs.retain(|pack| left_out.contains(pack));
    }
}

/// An end that does not verify is what RESOLVE says of these very bytes; else the session stays unresolved.
fn resolve(
    view: &mut View,
    state: &State,
    session: &SessionName,
    object: &Object,
    opener: Option<Signed>,
    flaw: Flaw,
) -> Outcome {
    match state.ledger().resolved.get(session) {
        Some(Resolved::Abort { end, .. }) if *end == object.sha256 => return Outcome::Aborted,
        Some(Resolved::Commit { end, record, indexes, .. }) if *end == object.sha256 => {
            if let Some(opener) = opener
                && let Ok(record) = own_record(state, session, record, &opener.installation)
            {
                let snapshot = snapshot(state, record, opener.principal, None, false);
                let valid = Valid::Commit(vec![snapshot], indexes.clone(), Brought::default());
                return accept(view, state, session, valid);
            }
        }
        _ => {}
    }
    view.issues.push(Issue::BadEnd(*session, flaw));
    Outcome::Unresolved { beat: None }
}

fn opening(state: &State, session: &SessionName, object: &Object, keys: &IndexKeys<'_>) -> Judged<(Signed, Certified)> {
    let name = Name::Open(*session);
    let (frame, plain) = match unseal(state, &name, object, keys)? {
        Ok(opened) => opened,
        Err(flaw) => return Ok(Err(flaw)),
    };
    Ok((|| {
        let open = Open::decode(&plain)?;
        let installation = certify(state, &session.writer, &open.installation)?;
        frame.verify(state.repository(), &installation)?;
        Ok((Signed { principal: open.installation.principal, installation, end: None }, open.installation))
    })())
}

fn ending(
    state: &State,
    session: &SessionName,
    object: &Object,
    opener: Option<Signed>,
    keys: &IndexKeys<'_>,
) -> Judged<(Valid, Option<(Signed, Certified)>)> {
    let name = Name::End(*session);
    let (frame, plain) = match unseal(state, &name, object, keys)? {
        Ok(opened) => opened,
        Err(flaw) => return Ok(Err(flaw)),
    };
    Ok((|| {
        let end = End::decode(&plain)?;
        match end.signer {
            Signer::Principal(id) => {
                let may = state.trust().principal(&id).filter(|principal| principal.cert.role.may_maintain());
                let signer = may.ok_or(Flaw::NotAllowed(id))?.cert.signing;
                frame.verify(state.repository(), &signer)?;
                let aborts = matches!(end.verdict, Verdict::Abort { .. });
                if aborts { Ok((Valid::Abort, None)) } else { Err(Flaw::NotAllowed(id)) }
            }
            Signer::Installation(certified) => {
                let installation = certify(state, &session.writer, &certified)?;
                if opener.is_some_and(|opener| opener.installation != installation) {
                    return Err(Flaw::OtherInstallation);
                }
                frame.verify(state.repository(), &installation)?;
                let signed = Signed { principal: certified.principal, installation, end: Some(frame.digest()) };
                let brought = brought(&end)?;
                Ok((verdict(state, session, end.verdict, brought, &signed)?, Some((signed, certified))))
            }
        }
    })())
}

/// What the end of a sync says beside records and indexes.
fn brought(end: &End) -> Result<Brought, Flaw> {
    let Verdict::Copies { records, .. } = &end.verdict else { return Ok(Brought::default()) };
    let mut installations = end.installations()?;
    installations.extend(records.iter().map(|copied| copied.installation));
    Ok(Brought { installations, left_out: end.left_out()? })
}

fn verdict(
    state: &State,
    session: &SessionName,
    verdict: Verdict,
    brought: Brought,
    signed: &Signed,
) -> Result<Valid, Flaw> {
    Ok(match verdict {
        Verdict::Abort { .. } => Valid::Abort,
        Verdict::Commit { record, indexes } => {
            let record = own_record(state, session, &record, &signed.installation)?;
            Valid::Commit(vec![snapshot(state, record, signed.principal, None, false)], indexes, brought)
        }
        Verdict::Copies { records, indexes } => {
            let prove_copy = |copied: &CopiedRecord| {
                let record = prove(state, &copied.record, &copied.installation)?;
                Ok(snapshot(state, record, copied.installation.principal, None, true))
            };
            Valid::Commit(records.iter().map(prove_copy).collect::<Result<_, Flaw>>()?, indexes, brought)
        }
    })
}

/// Opens the sealed part with the key of an epoch that is or was in force.
fn unseal<'a>(state: &State, name: &Name, object: &'a Object, keys: &IndexKeys<'_>) -> Judged<(&'a Frame, Vec<u8>)> {
    let frame = match &object.frame {
        Ok(frame) => frame,
        Err(error) => return Ok(Err(Flaw::Frame(error.clone()))),
    };
    let known = |epoch: &u32| (1..=state.trust().epoch()).contains(epoch);
    let Some(epoch) = frame.epoch().filter(known) else { return Ok(Err(Flaw::Epoch)) };
    let key = keys(epoch).map_err(|source| Error::NoKey { object: name.to_string(), epoch, source })?;
    Ok(frame.unseal(state.repository(), &key).map(|plain| (frame, plain)).map_err(Flaw::from))
}

/// The installation's key, if a principal that is or was allowed to write vouches for it and for its name.
fn certify(state: &State, writer: &WriterId, certified: &Certified) -> Result<PublicKey, Flaw> {
    let id = certified.principal;
    let principal = state.trust().principal(&id).filter(|principal| principal.cert.role.writes());
    let principal = principal.ok_or(Flaw::NotAWriter(id))?;
    if certified.certificate.writer != *writer {
        return Err(Flaw::OtherSession);
    }
    let verified = certified.certificate.verify(state.repository(), &principal.cert.signing);
    // There is but one way for it to fail: the signature.
    verified.map(|()| certified.certificate.public).map_err(|_| Flaw::Certificate(id))
}

fn own_record(state: &State, session: &SessionName, bytes: &[u8], installation: &PublicKey) -> Result<Record, Flaw> {
    let record = Record::decode(bytes)?;
    record.verify(state.repository(), installation)?;
    if record.link().session == *session { Ok(record) } else { Err(Flaw::OtherSession) }
}

/// A record that stands outside of its own session.
fn prove(state: &State, bytes: &[u8], certified: &Certified) -> Result<Record, Flaw> {
    let record = Record::decode(bytes)?;
    let installation = certify(state, &record.link().session.writer, certified)?;
    record.verify(state.repository(), &installation)?;
    Ok(record)
}

fn snapshot(state: &State, record: Record, principal: PrincipalId, receipt: Option<Receipt>, copied: bool) -> Snapshot {
    let forgotten = state.ledger().is_forgotten(&record.id());
    Snapshot { record, principal, receipt, forgotten, copied }
}
