//! What this machine cannot do better, measured beside the engine in the same minute: two bare QUIC hops, and a bare write to disk.
//!
//! ```text
//! here (sends) -> relay, another process -> here (receives)      200 bytes on streams that stay open
//! ```
//!
//! The relay is to the engine what a pipe is to a post office: the same transport, runtime and placement, and nothing in between.

use std::fs::File;
use std::io::{Seek, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use najda::client::transport::{provider, transport};
use najda::client::{ALPN_CONSOLE, ALPN_GATEWAY, Identity};
use najda::edge::tls;
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tokio::sync::Mutex;

/// Bytes of the message that is relayed.
pub const MESSAGE_BYTES: usize = 200;

// --- the relay's side ---

/// Listens, says where, and hands what the sender's stream brings to the receiver's, until it is killed.
pub async fn relay(certs: &Path) -> Result<()> {
    let identity = Identity::from_folder(certs, "server")?;
    let endpoint = Endpoint::server(tls::quic_server(&identity)?, SocketAddr::from(([127, 0, 0, 1], 0)))?;
    println!("ready quic={}", endpoint.local_addr()?);
    let out: Arc<Mutex<Option<SendStream>>> = Arc::default();
    while let Some(incoming) = endpoint.accept().await {
        let connection = incoming.await?;
        tokio::spawn(relay_one(connection, Arc::clone(&out)));
    }
    Ok(())
}

async fn relay_one(connection: Connection, out: Arc<Mutex<Option<SendStream>>>) -> Result<()> {
    let data = connection.handshake_data().and_then(|any| any.downcast::<HandshakeData>().ok());
    let (mut send, mut recv) = connection.accept_bi().await?;
    if data.and_then(|data| data.protocol).as_deref() == Some(ALPN_CONSOLE) {
        let mut out = out.lock().await;
        // The receiver waits for this byte, so that no message comes before there is somebody to have it.
        send.write_all(&[0]).await?;
        *out = Some(send);
        drop(out);
        connection.closed().await;
        return Ok(());
    }
    let mut message = [0; MESSAGE_BYTES];
    while let Some(bytes) = recv.read(&mut message).await? {
        let mut out = out.lock().await;
        let out = out.as_mut().context("nobody receives")?;
        out.write_all(message.get(..bytes).unwrap_or_default()).await?;
    }
    Ok(())
}

// --- our side ---

/// A sender and a receiver at the two ends of a relay.
pub struct TwoHops {
    sender: SendStream,
    receiver: RecvStream,
    /// Kept open for as long as the streams are used.
    _connections: [(Endpoint, Connection); 2],
}

impl TwoHops {
    pub async fn connect(addr: SocketAddr, identity: &Identity) -> Result<Self> {
        let (receiving, mut hello, mut receiver) = open(addr, identity, ALPN_CONSOLE).await?;
        hello.write_all(&[0]).await?;
        receiver.read_exact(&mut [0]).await?;
        let (sending, sender, _) = open(addr, identity, ALPN_GATEWAY).await?;
        Ok(Self { sender, receiver, _connections: [receiving, sending] })
    }

    /// Nanoseconds from the write to the whole message at the other end.
    pub async fn once(&mut self) -> Result<u64> {
        let began = Instant::now();
        self.sender.write_all(&[7; MESSAGE_BYTES]).await?;
        self.receiver.read_exact(&mut [0; MESSAGE_BYTES]).await?;
        Ok(began.elapsed().as_nanos() as u64)
    }
}

async fn open(addr: SocketAddr, identity: &Identity, alpn: &[u8]) -> Result<((Endpoint, Connection), SendStream, RecvStream)> {
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(identity.roots()?)
        .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?;
    tls.alpn_protocols = vec![alpn.to_vec()];
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport(0)));
    let endpoint = Endpoint::client(SocketAddr::from(([0, 0, 0, 0], 0)))?;
    let connection = endpoint.connect_with(config, addr, "localhost")?.await.context("connecting to the relay")?;
    let (send, recv) = connection.open_bi().await?;
    Ok(((endpoint, connection), send, recv))
}

/// A file beside the journal, of its size and on the disk already, that one entry after another is written into.
pub struct BareCommits {
    file: File,
    path: PathBuf,
    entry: Vec<u8>,
}

/// Bytes of the file: more than any run of commits writes.
const FILE_BYTES: usize = 4 * 1024 * 1024;

impl BareCommits {
    /// `entry_bytes`: of each commit. Blocks.
    pub fn make(folder: &Path, entry_bytes: usize) -> Result<Self> {
        let path = folder.join("bare-commits");
        let mut file = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
        // Written and not only reserved: a journal that has been used before grows into blocks it has.
        file.write_all(&vec![0; FILE_BYTES])?;
        file.sync_all()?;
        file.rewind()?;
        Ok(Self { file, path, entry: vec![7; entry_bytes.clamp(1, FILE_BYTES / 4)] })
    }

    pub fn entry_bytes(&self) -> usize {
        self.entry.len()
    }

    /// Nanoseconds of one write and its fdatasync. Blocks.
    pub fn once(&mut self) -> Result<u64> {
        if self.file.stream_position()? as usize + self.entry.len() > FILE_BYTES {
            self.file.rewind()?;
        }
        let began = Instant::now();
        self.file.write_all(&self.entry)?;
        self.file.sync_data()?;
        Ok(began.elapsed().as_nanos() as u64)
    }
}

impl Drop for BareCommits {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The value below which a share of them lies; 0 of none.
pub fn percentile(values: &mut [u64], share: f64) -> u64 {
    values.sort_unstable();
    let at = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(at).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use najda::edge::certs::DevCerts;
    use najda::edge::tls::Role;

    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        assert_eq!(percentile(&mut [3, 1, 2], 0.5), 2);
        assert_eq!(percentile(&mut [3, 1, 2], 1.0), 3);
        assert_eq!(percentile(&mut [], 0.5), 0);
    }

    #[test]
    fn a_bare_commit_takes_time_grows_no_file_and_leaves_nothing_behind() {
        let folder = crate::engine::Folder::make(None).unwrap();
        let mut commits = BareCommits::make(&folder.path, 700).unwrap();
        assert!((0..3).all(|_| commits.once().unwrap() > 0));
        assert_eq!(commits.file.metadata().unwrap().len() as usize, FILE_BYTES);
        drop(commits);
        assert_eq!(std::fs::read_dir(&folder.path).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_message_crosses_the_relay_whole() {
        let folder = crate::engine::Folder::make(None).unwrap();
        let role = Role::parse("load-test/gateway/g").unwrap();
        let certs = DevCerts::make(&folder.path, &[role]).unwrap();
        let endpoint = Endpoint::server(tls::quic_server(&certs.server().unwrap()).unwrap(), "127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = endpoint.local_addr().unwrap();
        tokio::spawn(async move {
            let out = Arc::default();
            while let Some(incoming) = endpoint.accept().await {
                tokio::spawn(relay_one(incoming.await.unwrap(), Arc::clone(&out)));
            }
        });
        let mut hops = TwoHops::connect(addr, &certs.identity(&role).unwrap()).await.unwrap();
        assert!(hops.once().await.unwrap() > 0);
    }
}
