//! `floors/...`: what this machine cannot do better, in one place: a UDP echo, one and two QUIC hops, a write that is on the disk.
//!
//! Whoever reads that an offer takes so many microseconds should see beside it what the wire and the disk take alone, on the same
//! machine in the same minute. Messages have 200 bytes, entries 300. The threads are placed by the scheduler, as the engine's are.

#![allow(clippy::disallowed_methods, reason = "a test or a measurement reads the clock")]

#[path = "measure/mod.rs"]
mod measure;

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use measure::{Figures, Tails, histogram, is_full, rounds};
use najda::client::transport::{provider, transport};
use najda::client::{ALPN_GATEWAY, Identity};
use najda::edge::certs::DevCerts;
use najda::edge::tls::{self, Role};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const MESSAGE_BYTES: usize = 200;
const ENTRY_BYTES: usize = 300;
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A thread that sends back what it gets, until it gets an empty message.
struct Echo {
    socket: UdpSocket,
    thread: Option<thread::JoinHandle<()>>,
}

impl Echo {
    fn start() -> Self {
        let far = UdpSocket::bind(LOOPBACK).expect("a socket");
        let socket = UdpSocket::bind(LOOPBACK).expect("a socket");
        socket.connect(far.local_addr().expect("bound")).expect("loopback");
        let echo = move || {
            let mut bytes = [0; 2 * MESSAGE_BYTES];
            while let Ok((count, from)) = far.recv_from(&mut bytes) {
                if count == 0 || far.send_to(&bytes[..count], from).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("echo".to_owned()).spawn(echo).expect("a thread");
        Self { socket, thread: Some(thread) }
    }

    fn once(&self) -> u64 {
        let begun = Instant::now();
        self.socket.send(&[7; MESSAGE_BYTES]).expect("sent");
        let count = self.socket.recv(&mut [0; 2 * MESSAGE_BYTES]).expect("received");
        let took = begun.elapsed().as_nanos() as u64;
        assert_eq!(count, MESSAGE_BYTES);
        took
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.socket.send(&[]);
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// A QUIC stream that stays open, to a server that sends back what it gets. There and back is two hops.
struct Quic {
    runtime: Runtime,
    send: SendStream,
    recv: RecvStream,
    _open: (Endpoint, Connection, TempDir),
}

impl Quic {
    fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let folder = TempDir::new().expect("a folder");
        let role = Role::parse("load-test/gateway/g").expect("a role");
        let certs = DevCerts::make(folder.path(), &[role]).expect("certificates");
        let connected = runtime.block_on(async {
            let server = tls::quic_server(&certs.server().expect("a server")).expect("a configuration");
            let far = Endpoint::server(server, LOOPBACK).expect("an endpoint");
            let addr = far.local_addr().expect("bound");
            tokio::spawn(async move {
                let connection = far.accept().await.expect("somebody").await.expect("a handshake");
                let (mut send, mut recv) = connection.accept_bi().await.expect("a stream");
                let mut bytes = [0; 2 * MESSAGE_BYTES];
                while let Ok(Some(count)) = recv.read(&mut bytes).await {
                    if send.write_all(&bytes[..count]).await.is_err() {
                        return;
                    }
                }
            });
            open(addr, &certs.identity(&role).expect("an identity")).await
        });
        let (endpoint, connection, send, recv) = connected;
        Self { runtime, send, recv, _open: (endpoint, connection, folder) }
    }

    fn once(&mut self) -> u64 {
        let Self { runtime, send, recv, .. } = self;
        runtime.block_on(async {
            let begun = Instant::now();
            send.write_all(&[7; MESSAGE_BYTES]).await.expect("sent");
            recv.read_exact(&mut [0; MESSAGE_BYTES]).await.expect("received");
            begun.elapsed().as_nanos() as u64
        })
    }
}

async fn open(addr: SocketAddr, identity: &Identity) -> (Endpoint, Connection, SendStream, RecvStream) {
    let builder = rustls::ClientConfig::builder_with_provider(provider());
    let mut tls = builder
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(identity.roots().expect("a root"))
        .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
        .expect("a certificate");
    tls.alpn_protocols = vec![ALPN_GATEWAY.to_vec()];
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("a QUIC configuration")));
    config.transport_config(Arc::new(transport(0)));
    let endpoint = Endpoint::client(LOOPBACK).expect("an endpoint");
    let connection = endpoint.connect_with(config, addr, "localhost").expect("an address").await.expect("a handshake");
    let (send, recv) = connection.open_bi().await.expect("a stream");
    (endpoint, connection, send, recv)
}

/// Nanoseconds of one write that is on the disk before it returns.
fn commit(file: &mut File) -> u64 {
    let begun = Instant::now();
    file.write_all(&[7; ENTRY_BYTES]).expect("written");
    file.sync_data().expect("synced");
    begun.elapsed().as_nanos() as u64
}

fn floors(c: &mut Criterion) {
    let (echo, mut quic) = (Echo::start(), Quic::start());
    let folder = TempDir::new().expect("a folder");
    let mut file = File::create(folder.path().join("floor")).expect("a file");
    let (messages, commits) = if is_full() { (3_000, 200) } else { (20, 3) };
    let mut found: [Vec<Tails>; 3] = Default::default();
    for _ in 0..rounds() {
        let mut measure = |into: usize, count: usize, once: &mut dyn FnMut() -> u64| {
            let mut times = histogram();
            (0..count).for_each(|_| times.record(once()).expect("a time"));
            found[into].push(Tails::of(&times));
        };
        measure(0, messages, &mut || echo.once());
        measure(1, messages, &mut || quic.once());
        measure(2, commits, &mut || commit(&mut file));
    }
    let mut figures = Figures::new("floors");
    let [udp, quic_tails, disk] = found.map(|rounds| Tails::median(&rounds));
    let half = |tails: Tails| Tails { p50: tails.p50 / 2.0, p99: tails.p99 / 2.0, p999: tails.p999 / 2.0, worst: tails.worst / 2.0 };
    figures.beside("floors/udp_echo", "ns there and back", &[("blocking sockets", udp)]);
    figures.beside("floors/one_quic_hop", "ns, half of there and back", &[("quinn, one stream", half(quic_tails))]);
    figures.beside("floors/two_quic_hops", "ns there and back", &[("quinn, one stream", quic_tails)]);
    figures.beside("floors/bare_commit", "ns", &[("write and fdatasync", disk)]);
    figures.write();
    c.bench_function("floors/udp_echo", |b| b.iter(|| echo.once()));
    c.bench_function("floors/two_quic_hops", |b| b.iter(|| quic.once()));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    targets = floors
}
criterion_main!(benches);
