//! A client of the HTTP door: one request, one connection. For ops, apps and tests; gateways with many contacts speak QUIC.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{Method, Request, StatusCode, Uri};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::transport::{Identity, IdentityError, provider};
use crate::limits::{HANDSHAKE_MICROS_MAX, HTTP_TABLES_MICROS_MAX};

/// Bytes of an answer; `/metrics` is the longest.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    #[error("{got:?} is no address of an engine; write https://HOST:PORT")]
    BadAddress { got: String },
    #[error("the certificate cannot be used: {0}")]
    BadIdentity(#[from] IdentityError),
    #[error("cannot reach {addr}: {why}")]
    Unreachable { addr: String, why: String },
    #[error("no answer from {addr} within {wait:?}")]
    TimedOut { addr: String, wait: Duration },
    #[error("the engine's answer cannot be read: {0}")]
    BadAnswer(String),
}

/// What the engine answered.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    pub status: u16,
    pub content_type: String,
    pub body: Bytes,
}

/// Asks one engine.
#[derive(Clone)]
pub struct HttpClient {
    host: String,
    port: u16,
    tls: TlsConnector,
    bearer: Option<String>,
    wait: Duration,
    answer_bytes_max: usize,
}

impl HttpClient {
    /// Shows a certificate. `base` is `https://HOST:PORT`.
    ///
    /// # Errors
    /// [`HttpError::BadAddress`], [`HttpError::BadIdentity`].
    pub fn with_certificate(base: &str, identity: &Identity) -> Result<Self, HttpError> {
        let tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(IdentityError::from)?
            .with_root_certificates(identity.roots()?)
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(IdentityError::from)?;
        Self::new(base, tls, None)
    }

    /// Shows a token, or nothing at all.
    ///
    /// # Errors
    /// As [`Self::with_certificate`].
    pub fn with_token(base: &str, authority: &[CertificateDer<'static>], token: Option<&str>) -> Result<Self, HttpError> {
        let mut roots = rustls::RootCertStore::empty();
        authority.iter().try_for_each(|certificate| roots.add(certificate.clone())).map_err(IdentityError::from)?;
        let tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(IdentityError::from)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self::new(base, tls, token.map(str::to_owned))
    }

    fn new(base: &str, mut tls: rustls::ClientConfig, bearer: Option<String>) -> Result<Self, HttpError> {
        let bad = || HttpError::BadAddress { got: base.to_owned() };
        let uri: Uri = base.trim_end_matches('/').parse().map_err(|_| bad())?;
        let plain = uri.scheme_str() == Some("https") && matches!(uri.path(), "" | "/") && uri.query().is_none();
        let host =
            uri.host().filter(|host| plain && !host.is_empty()).ok_or_else(bad)?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().ok_or_else(bad)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let wait = Duration::from_micros(HTTP_TABLES_MICROS_MAX);
        Ok(Self { host, port, tls: TlsConnector::from(Arc::new(tls)), bearer, wait, answer_bytes_max: ANSWER_BYTES_MAX })
    }

    /// The same client with other bounds: on the whole exchange, and on what is read of an answer.
    pub fn within(self, wait: Duration, answer_bytes_max: usize) -> Self {
        Self { wait, answer_bytes_max, ..self }
    }

    /// # Errors
    /// See [`HttpError`]. A refusal of the engine is an answer.
    pub async fn get(&self, path: &str) -> Result<HttpAnswer, HttpError> {
        self.request(Method::GET, path, "", Bytes::new()).await
    }

    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&self, path: &str, content_type: &str, body: impl Into<Bytes>) -> Result<HttpAnswer, HttpError> {
        self.request(Method::POST, path, content_type, body.into()).await
    }

    /// As [`Self::post`], with further headers.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post_with(
        &self,
        path: &str,
        content_type: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<HttpAnswer, HttpError> {
        self.request_with(Method::POST, path, content_type, headers, body.into()).await
    }

    async fn request(&self, method: Method, path: &str, content_type: &str, body: Bytes) -> Result<HttpAnswer, HttpError> {
        self.request_with(method, path, content_type, &[], body).await
    }

    async fn request_with(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<HttpAnswer, HttpError> {
        let addr = format!("{}:{}", self.host, self.port);
        let mut request = Request::builder().method(method).uri(path).header(HOST, &addr);
        if !content_type.is_empty() {
            request = request.header(CONTENT_TYPE, content_type);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body)).map_err(|why| HttpError::BadAnswer(why.to_string()))?;
        match timeout(self.wait, self.exchange(&addr, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpError::TimedOut { addr, wait: self.wait }),
        }
    }

    async fn exchange(&self, addr: &str, request: Request<Body>) -> Result<HttpAnswer, HttpError> {
        let unreachable = |why: String| HttpError::Unreachable { addr: addr.to_owned(), why };
        let name = ServerName::try_from(self.host.clone()).map_err(|_| HttpError::BadAddress { got: addr.to_owned() })?;
        let connect = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            stream.set_nodelay(true)?;
            self.tls.connect(name, stream).await
        };
        let connected = timeout(Duration::from_micros(HANDSHAKE_MICROS_MAX), connect).await;
        let stream = connected.map_err(|_| unreachable("no handshake in time".into()))?.map_err(|why| unreachable(why.to_string()))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|why| unreachable(why.to_string()))?;
        // The connection moves bytes while the request is under way and ends with it.
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|why| unreachable(said(&why)))?;
            let status: StatusCode = response.status();
            let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
            let body = to_bytes(Body::new(response.into_body()), self.answer_bytes_max).await;
            let body = body.map_err(|why| HttpError::BadAnswer(why.to_string()))?;
            Ok(HttpAnswer { status: status.as_u16(), content_type, body })
        };
        let mut exchange = std::pin::pin!(exchange);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            // An engine that closes after its answer still has given one.
            _ = &mut connection => exchange.await,
        }
    }
}

/// A certificate that is refused shows only when the first bytes are read; its reason is the cause below.
fn said(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(below) = cause {
        text.push_str(": ");
        text.push_str(&below.to_string());
        cause = below.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_https_address_with_a_port_is_taken() {
        for base in ["https://localhost:9991", "https://127.0.0.1:1/", "https://[::1]:9991"] {
            assert!(HttpClient::with_token(base, &[], None).is_ok(), "{base}");
        }
        for base in ["http://localhost:9991", "localhost:9991", "https://localhost", "https://h:1/v1", "https://h:1?x", "", "https://:1"] {
            assert!(matches!(HttpClient::with_token(base, &[], None), Err(HttpError::BadAddress { .. })), "{base}");
        }
    }
}
