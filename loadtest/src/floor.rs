//! What this machine cannot do better, measured beside the engine in the same minute: two bare QUIC hops, and a bare write to disk.
//!
//! ```text
//! here (sends) -> relay, another process -> here (receives)      200 bytes on streams that stay open
//! ```
//!
//! The relay is to the engine what a pipe is to a post office: the same transport, runtime and placement, and nothing in between.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use najda::client::transport::{provider, transport};
use najda::client::{ALPN_CONSOLE, ALPN_GATEWAY, Identity};
use najda::edge::tls;
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tokio::sync::Mutex;

/// Bytes of the message that is relayed.
pub const MESSAGE_BYTES: usize = 200;
/// Bytes of an entry that is written bare: about what the journal keeps of one small fact.
pub const ENTRY_BYTES: usize = 300;

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

/// Nanoseconds of each of `count` writes of [`ENTRY_BYTES`] to the end of a file in `folder`, each on the disk before the next.
/// Blocks.
pub fn bare_commits(folder: &Path, count: usize) -> Result<Vec<u64>> {
    let path = folder.join("bare-commits");
    let mut file = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        file.write_all(&[7; ENTRY_BYTES])?;
        file.sync_data()?;
        took.push(began.elapsed().as_nanos() as u64);
    }
    std::fs::remove_file(path)?;
    if took.is_empty() {
        bail!("nothing was written");
    }
    Ok(took)
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
    fn a_bare_commit_takes_time_and_leaves_nothing_behind() {
        let folder = crate::engine::Folder::make(None).unwrap();
        let took = bare_commits(&folder.path, 3).unwrap();
        assert!(took.len() == 3 && took.iter().all(|nanos| *nanos > 0));
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
