//! Who may sit at a web console: invitations of one use, and the passes they are exchanged for.
//!
//! Both are kept in the state folder, so that whoever runs the engine can give and take them without asking it:
//!
//! ```text
//! console/invites/<sha-256 of the token>    seat and end; taken away by whoever redeems it first
//! console/revoked/<dispatcher>~<seat>       passes given before this moment are worth nothing
//! ```
//!
//! A pass is what a browser keeps: the seat and two times under a signature of the engine's own key. It is kept nowhere here, so it
//! outlives the engine, and a console is back as soon as the engine is.

use std::io;
use std::path::{Path, PathBuf};

use ring::hmac;
use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::deliver::{Duty, Seat};
use crate::edge::tls::{ResetKeyError, reset_key, write_private};
use crate::edge::tokens::hex;
use crate::limits::{CONSOLE_INVITE_SECS_MAX, CONSOLE_PASS_SECS_MAX};
use crate::units::{Name, Timestamp};

/// What a seat showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    pub seat: Seat,
    pub duty: Duty,
    /// When it was given; `None` for a certificate, which ops revoke with the authority.
    given: Option<Timestamp>,
}

impl Pass {
    pub const fn of_certificate(seat: Seat, duty: Duty) -> Self {
        Self { seat, duty, given: None }
    }
}

/// Whose seat it is, and what its holder may do.
pub type Sitter = (Seat, Duty);

#[derive(Serialize, Deserialize)]
struct Signed {
    dispatcher: String,
    seat: String,
    /// [`Duty::word`]; a dispatcher's where it is not said.
    #[serde(default)]
    role: String,
    given_micros: u64,
    until_micros: u64,
}

#[derive(Serialize, Deserialize)]
struct Invite {
    dispatcher: String,
    seat: String,
    /// [`Duty::word`]; a dispatcher's where it is not said.
    #[serde(default)]
    role: String,
    until_micros: u64,
}

pub(super) struct Passes {
    folder: PathBuf,
    key: hmac::Key,
}

impl Passes {
    pub fn new(state_folder: &Path) -> Result<Self, ResetKeyError> {
        Ok(Self { folder: state_folder.to_owned(), key: reset_key(state_folder)? })
    }

    /// Exchanges an invitation for a pass, once.
    pub async fn redeem(&self, token: &str, now: Timestamp) -> Option<(Seat, Duty, String)> {
        let path = invite_path(&self.folder, token);
        let text = tokio::fs::read(&path).await.ok()?;
        // Of two who redeem it at once, one takes it away.
        tokio::fs::remove_file(&path).await.ok()?;
        let invite: Invite = serde_json::from_slice(&text).ok()?;
        let (seat, duty) = sitter(&invite.dispatcher, &invite.seat, &invite.role)?;
        (invite.until_micros > now.unix_micros).then(|| (seat, duty, self.sign(&(seat, duty), now)))
    }

    fn sign(&self, (seat, duty): &Sitter, now: Timestamp) -> String {
        let signed = Signed {
            dispatcher: seat.dispatcher.to_string(),
            seat: seat.seat.to_string(),
            role: duty.word().to_owned(),
            given_micros: now.unix_micros,
            until_micros: now.plus_micros(CONSOLE_PASS_SECS_MAX * 1_000_000).unix_micros,
        };
        // Plain fields always serialise.
        let body = serde_json::to_vec(&signed).unwrap_or_default();
        format!("{}.{}", hex(&body), hex(hmac::sign(&self.key, &labelled(&body)).as_ref()))
    }

    /// Whose a pass is; `None` when it is forged, over or revoked.
    pub async fn read(&self, pass: &str, now: Timestamp) -> Option<Pass> {
        let (body, tag) = pass.split_once('.')?;
        let (body, tag) = (bytes_of(body)?, bytes_of(tag)?);
        hmac::verify(&self.key, &labelled(&body), &tag).ok()?;
        let signed: Signed = serde_json::from_slice(&body).ok()?;
        let (seat, duty) = sitter(&signed.dispatcher, &signed.seat, &signed.role)?;
        let pass = Pass { seat, duty, given: Some(Timestamp::from_micros(signed.given_micros)) };
        (signed.until_micros > now.unix_micros && self.stands(&pass).await).then_some(pass)
    }

    /// Not revoked since it was given.
    pub async fn stands(&self, pass: &Pass) -> bool {
        let Some(given) = pass.given else { return true };
        match tokio::fs::read_to_string(revoked_path(&self.folder, &pass.seat)).await {
            Ok(text) => text.trim().parse().is_ok_and(|revoked: u64| given.unix_micros > revoked),
            Err(why) => why.kind() == io::ErrorKind::NotFound,
        }
    }

    pub async fn revoke(&self, seat: &Seat, now: Timestamp) -> io::Result<()> {
        let (folder, seat) = (self.folder.clone(), *seat);
        tokio::task::spawn_blocking(move || revoke(&folder, &seat, now)).await.unwrap_or_else(|why| Err(io::Error::other(why)))
    }
}

/// An auditor is of no room; everybody else is of one.
fn sitter(dispatcher: &str, seat: &str, role: &str) -> Option<Sitter> {
    let duty = if role.is_empty() { Duty::Dispatcher } else { Duty::from_word(role)? };
    let dispatcher = if duty == Duty::Auditor && dispatcher.is_empty() { Name::default() } else { Name::new(dispatcher)? };
    Some((Seat { dispatcher, seat: Name::new(seat)? }, duty))
}

/// A pass is no other thing that the same key signs.
fn labelled(body: &[u8]) -> Vec<u8> {
    [b"console pass\0", body].concat()
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let pairs = digits.as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    (pairs.1.is_empty() && digits.iter().all(u8::is_ascii_hexdigit)).then(|| pairs.0.iter().map(byte).collect())?
}

fn invite_path(state_folder: &Path, token: &str) -> PathBuf {
    state_folder.join("console/invites").join(hex(&Sha256::digest(token.as_bytes())))
}

fn revoked_path(state_folder: &Path, seat: &Seat) -> PathBuf {
    // Names have no slash: they came from a role or an invitation, which refuse it.
    state_folder.join("console/revoked").join(format!("{}~{}", seat.dispatcher, seat.seat).replace('/', "_"))
}

/// Makes an invitation to a seat, good once and for so many seconds. Returns its token, which is kept nowhere.
///
/// # Errors
/// The state folder cannot be written, or there is no entropy.
pub fn invite(state_folder: &Path, (seat, duty): Sitter, secs: u64, now: Timestamp) -> io::Result<String> {
    let mut bytes = [0; 24];
    ring::rand::SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no entropy"))?;
    let token = hex(&bytes);
    let until_micros = now.plus_micros(secs.min(CONSOLE_INVITE_SECS_MAX) * 1_000_000).unix_micros;
    let (dispatcher, seat, role) = (seat.dispatcher.to_string(), seat.seat.to_string(), duty.word().to_owned());
    let invite = Invite { dispatcher, seat, role, until_micros };
    let path = invite_path(state_folder, &token);
    write_beside(&path, &serde_json::to_vec(&invite)?)?;
    Ok(token)
}

/// Ends every pass that was given for a seat until now.
///
/// # Errors
/// The state folder cannot be written.
pub fn revoke(state_folder: &Path, seat: &Seat, now: Timestamp) -> io::Result<()> {
    write_beside(&revoked_path(state_folder, seat), now.unix_micros.to_string().as_bytes())
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    write_private(path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat() -> Seat {
        Seat { dispatcher: Name::new("DU-POL").unwrap(), seat: Name::new("1").unwrap() }
    }

    #[tokio::test]
    async fn an_invitation_is_good_once_and_its_pass_until_it_is_over_or_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let passes = Passes::new(folder.path()).unwrap();
        let (now, later) = (Timestamp::from_secs(1_000), Timestamp::from_secs(1_000 + CONSOLE_PASS_SECS_MAX));
        let token = invite(folder.path(), (seat(), Duty::Dispatcher), 60, now).unwrap();
        let (whose, _, pass) = passes.redeem(&token, now).await.unwrap();
        assert_eq!((whose, passes.redeem(&token, now).await), (seat(), None));
        assert_eq!(passes.read(&pass, now).await.map(|pass| pass.seat), Some(seat()));
        assert_eq!(Passes::new(folder.path()).unwrap().read(&pass, now).await.map(|pass| pass.seat), Some(seat()), "a restart");
        assert_eq!(passes.read(&pass, later).await, None);
        passes.revoke(&seat(), Timestamp::from_secs(1_001)).await.unwrap();
        assert_eq!(passes.read(&pass, now).await, None);
        let again = invite(folder.path(), (seat(), Duty::Dispatcher), 60, now).unwrap();
        let (_, _, newer) = passes.redeem(&again, Timestamp::from_secs(1_002)).await.unwrap();
        assert!(passes.read(&newer, Timestamp::from_secs(1_003)).await.is_some(), "a later invitation is good again");
    }

    #[tokio::test]
    async fn a_pass_is_of_the_duty_it_was_invited_to_and_every_one_can_be_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let passes = Passes::new(folder.path()).unwrap();
        let now = Timestamp::from_secs(1_000);
        let auditor = Seat { dispatcher: Name::default(), seat: Name::new("huda").unwrap() };
        let chief = Seat { seat: Name::new("chief").unwrap(), ..seat() };
        for sitter in [(seat(), Duty::Dispatcher), (chief, Duty::Supervisor), (auditor, Duty::Auditor)] {
            let token = invite(folder.path(), sitter, 60, now).unwrap();
            let (seat, duty, pass) = passes.redeem(&token, now).await.unwrap();
            assert_eq!((seat, duty), sitter);
            assert_eq!(passes.read(&pass, now).await.map(|pass| (pass.seat, pass.duty)), Some(sitter));
            passes.revoke(&seat, Timestamp::from_secs(1_001)).await.unwrap();
            assert_eq!(passes.read(&pass, now).await, None, "{sitter:?}");
        }
        let nobody = Seat { dispatcher: Name::default(), seat: Name::new("1").unwrap() };
        let token = invite(folder.path(), (nobody, Duty::Dispatcher), 60, now).unwrap();
        assert_eq!(passes.redeem(&token, now).await, None, "who is of no room answers nobody");
    }

    #[tokio::test]
    async fn what_is_forged_late_or_nothing_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let passes = Passes::new(folder.path()).unwrap();
        let now = Timestamp::from_secs(1_000);
        let late = invite(folder.path(), (seat(), Duty::Dispatcher), 60, now).unwrap();
        assert_eq!(passes.redeem(&late, Timestamp::from_secs(1_060)).await, None);
        assert_eq!(passes.redeem("../../quic-reset.key", now).await, None);
        let token = invite(folder.path(), (seat(), Duty::Dispatcher), 60, now).unwrap();
        let (_, _, pass) = passes.redeem(&token, now).await.unwrap();
        let (body, tag) = pass.split_once('.').unwrap();
        let other = format!("{}.{tag}", body.replace("31", "32"));
        for forged in [other.as_str(), body, "", ".", "zz.zz", &format!("{body}.{}", "0".repeat(64))] {
            assert_eq!(passes.read(forged, now).await, None, "{forged}");
        }
    }
}
