//! Judging one session, and one census: which of their records, indexes and signers count.

use super::{Error, Flaw, Found, Issue, Object, Outcome, Signed, Snapshot, View};
use crate::crypto::sign::PublicKey;
use crate::repo::census::{Census, Receipt};
use crate::repo::frame::Frame;
use crate::repo::id::{PrincipalId, WriterId};
use crate::repo::log::{IndexKeys, State, Verdict as Resolved};
use crate::repo::names::{Name, SessionName};
use crate::repo::record::Record;
use crate::repo::session::{Certified, CopiedRecord, End, IndexRef, Open, Signer, Verdict};

/// A judgement that may fail for the object, inside one that may fail for lack of a key.
type Judged<T> = Result<Result<T, Flaw>, Error>;

/// What a valid end says.
enum Valid {
    Commit(Vec<Snapshot>, Vec<IndexRef>, Vec<Certified>),
    Abort,
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
        }
    }
    for listed in &census.records {
        let certified = &census.certificates[listed.certificate];
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
        Some(object) => opening(state, session, object, keys)?.map(Some),
        None => Ok(None),
    };
    if let Ok(Some((_, certified))) = &opened {
        keep(view, certified);
    }
    let opener = opened.as_ref().ok().copied().flatten().map(|(signed, _)| signed);
    let mut signed = opener;
    let outcome = match &found.end {
        None => Outcome::Unresolved { beat: found.beat },
        Some(object) => match ending(state, session, object, opener, keys)? {
            Ok((valid, signer)) => {
                if let Some((_, certified)) = &signer {
                    keep(view, certified);
                }
                signed = signer.map(|(signed, _)| signed).or(opener);
                accept(view, session, valid)
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

/// Keeps a certificate that was proven, for the next census.
fn keep(view: &mut View, certified: &Certified) {
    view.certified.insert((certified.certificate.writer, certified.principal), *certified);
}

fn accept(view: &mut View, session: &SessionName, valid: Valid) -> Outcome {
    match valid {
        Valid::Abort => Outcome::Aborted,
        Valid::Commit(snapshots, indexes, certificates) => {
            certificates.iter().for_each(|certified| keep(view, certified));
            let ids = snapshots.iter().map(|snapshot| snapshot.record.id()).collect();
            view.committed.extend(indexes.iter().map(|index| (*session, *index)));
            view.indexes.extend(indexes);
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
                return accept(view, session, Valid::Commit(vec![snapshot], indexes.clone(), vec![]));
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
                Ok((verdict(state, session, end.verdict, &signed)?, Some((signed, certified))))
            }
        }
    })())
}

fn verdict(state: &State, session: &SessionName, verdict: Verdict, signed: &Signed) -> Result<Valid, Flaw> {
    Ok(match verdict {
        Verdict::Abort { .. } => Valid::Abort,
        Verdict::Commit { record, indexes } => {
            let record = own_record(state, session, &record, &signed.installation)?;
            Valid::Commit(vec![snapshot(state, record, signed.principal, None, false)], indexes, vec![])
        }
        Verdict::Copies { records, indexes } => {
            let prove_copy = |copied: &CopiedRecord| {
                let record = prove(state, &copied.record, &copied.installation)?;
                Ok(snapshot(state, record, copied.installation.principal, None, true))
            };
            let snapshots = records.iter().map(prove_copy).collect::<Result<_, Flaw>>()?;
            let certificates = records.iter().map(|copied| copied.installation).collect();
            Valid::Commit(snapshots, indexes, certificates)
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
