//! The gateways that carry messages to callers: one port, three ways.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use axum::http::Uri;
use rustls_pki_types::CertificateDer;

use crate::client::http::{HttpClient, HttpError};
use crate::limits::{NOTIFY_ANSWER_BYTES_MAX, NOTIFY_MICROS_MAX};
use crate::wire::notification::{Message, SIGNATURE, signature};

const PORT: u16 = 443;

/// Why a message is not out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// Trying again would not help.
    Refused(String),
    /// The gateway is down or busy.
    Later(String),
}

/// Why messages cannot be carried this way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarrierError {
    #[error("{0:?} is no address of a gateway; write https://HOST[:PORT]/PATH")]
    BadAddress(String),
    #[error(transparent)]
    Client(#[from] HttpError),
    #[error("cannot write {path}: {why}")]
    File { path: PathBuf, why: io::Error },
}

/// The port: whatever carries messages.
#[derive(Debug)]
pub enum Carrier {
    Http(HttpCarrier),
    File(FileCarrier),
}

impl Carrier {
    pub(super) async fn carry(&self, message: &Message) -> Result<(), Unsent> {
        match self {
            Self::Http(gateway) => gateway.carry(message).await,
            Self::File(file) => file.carry(message),
        }
    }
}

/// A gateway by HTTPS.
pub struct HttpCarrier {
    client: HttpClient,
    path: String,
    form: Form,
}

/// How its body is written.
#[derive(Clone, Debug)]
pub enum Form {
    /// JSON; signed when a key was agreed on.
    Webhook { key: Option<Vec<u8>> },
    /// Fields of a form, as most SMS gateways take them.
    Sms { number_field: String, text_field: String, more: Vec<(String, String)> },
}

impl std::fmt::Debug for HttpCarrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpCarrier").field("path", &self.path).finish_non_exhaustive()
    }
}

impl HttpCarrier {
    /// `token` is shown as a bearer token.
    ///
    /// # Errors
    /// The address is none, or a certificate cannot be used.
    pub fn new(url: &str, authority: &[CertificateDer<'static>], token: Option<&str>, form: Form) -> Result<Self, CarrierError> {
        let bad = || CarrierError::BadAddress(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let host = uri.host().filter(|host| !host.is_empty() && uri.scheme_str() == Some("https")).ok_or_else(bad)?;
        let base = format!("https://{host}:{}", uri.port_u16().unwrap_or(PORT));
        let client = HttpClient::with_token(&base, authority, token)?;
        let client = client.within(Duration::from_micros(NOTIFY_MICROS_MAX), NOTIFY_ANSWER_BYTES_MAX);
        Ok(Self { client, path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(), form })
    }

    async fn carry(&self, message: &Message) -> Result<(), Unsent> {
        let (media_type, body, signed) = match &self.form {
            Form::Webhook { key } => {
                let body = message.to_json();
                let signed = key.as_ref().map(|key| (SIGNATURE, signature(key, body.as_bytes())));
                ("application/json", body, signed)
            }
            Form::Sms { number_field, text_field, more } => {
                ("application/x-www-form-urlencoded", message.to_form(number_field, text_field, more), None)
            }
        };
        let id = message.id();
        let mut headers = vec![("idempotency-key", id.as_str())];
        headers.extend(signed.as_ref().map(|(name, value)| (*name, value.as_str())));
        let answer = self.client.post_with(&self.path, media_type, &headers, body).await.map_err(|why| Unsent::Later(why.to_string()))?;
        match answer.status {
            200..=299 => Ok(()),
            408 | 425 | 429 | 500..=599 => Err(Unsent::Later(format!("it answered {}", answer.status))),
            status => Err(Unsent::Refused(format!("it answered {status}"))),
        }
    }
}

/// A file, one message a line: for the demo and for trials.
#[derive(Debug)]
pub struct FileCarrier {
    path: PathBuf,
    file: Mutex<std::fs::File>,
}

impl FileCarrier {
    /// # Errors
    /// It cannot be written to.
    pub fn open(path: PathBuf) -> Result<Self, CarrierError> {
        match std::fs::OpenOptions::new().append(true).create(true).open(&path) {
            Ok(file) => Ok(Self { path, file: Mutex::new(file) }),
            Err(why) => Err(CarrierError::File { path, why }),
        }
    }

    fn carry(&self, message: &Message) -> Result<(), Unsent> {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let line = message.to_json() + "\n";
        file.write_all(line.as_bytes()).map_err(|why| Unsent::Later(format!("{}: {why}", self.path.display())))
    }
}
