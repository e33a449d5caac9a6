//! TCP and TLS: each stream is a task that reads, answers, and ends when its gateway is silent for too long.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::Hall;
use super::calls::{Reply, What};
use super::peers::Peer;
use crate::edge::ingress::{count, told};
use crate::edge::tls::Role;
use crate::limits::{SIP_STREAMS_MAX, SIP_WRITE_MICROS_MAX};
use crate::wire::sip_stream::{Piece, StreamBuffer};

/// Answers of one stream that wait for the journal.
const SOON_MAX: usize = 64;

pub(super) async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, hall: Arc<Hall>) {
    let places = Arc::new(Semaphore::new(SIP_STREAMS_MAX));
    let mut guests = JoinSet::new();
    let mut stopping = hall.stopping.subscribe();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, source)) => match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => drop(guests.spawn(guest(stream, source, acceptor.clone(), Arc::clone(&hall), place))),
                    Err(_) => count(&hall.counters.refused_full),
                },
                // Out of descriptors, or the peer left: neither is mended by asking again at once.
                Err(why) => {
                    tracing::warn!(%why, "a stream could not be accepted");
                    sleep(Duration::from_millis(20)).await;
                }
            },
            Some(_) = guests.join_next(), if !guests.is_empty() => {}
            () = told(&mut stopping) => break,
        }
    }
    drop(listener);
    while guests.join_next().await.is_some() {}
}

async fn guest(stream: TcpStream, source: SocketAddr, acceptor: Option<TlsAcceptor>, hall: Arc<Hall>, _place: OwnedSemaphorePermit) {
    let _ = stream.set_nodelay(true);
    let peer = hall.peers.at(source);
    let Some(acceptor) = acceptor else { return talk(stream, peer, &hall).await };
    let stream = match timeout(hall.config.handshake_wait, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(why)) => {
            count(&hall.counters.handshakes_failed);
            return tracing::info!(%source, %why, "turned away");
        }
        Err(_) => return count(&hall.counters.handshakes_failed),
    };
    let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let role = leaf.and_then(|leaf| Role::from_certificate(leaf).ok());
    talk(stream, peer.shown(role), &hall).await;
}

/// Reads until the peer leaves, is silent for too long, or sends what cannot be told apart; then what waits for the journal is said.
async fn talk(stream: impl AsyncRead + AsyncWrite, peer: Peer, hall: &Arc<Hall>) {
    let stream = pin!(stream);
    let (mut read, mut write) = tokio::io::split(stream);
    let (tell, mut soon) = mpsc::channel::<Vec<u8>>(SOON_MAX);
    let mut buffer = StreamBuffer::default();
    let mut chunk = vec![0; 16 * 1024];
    let mut silent = pin!(sleep(hall.config.silent_wait));
    let mut out = Vec::new();
    let mut stopping = hall.stopping.subscribe();
    loop {
        tokio::select! {
            received = read.read(&mut chunk) => match received {
                Ok(length) if length > 0 => {
                    buffer.push(chunk.get(..length).unwrap_or_default());
                    let more = answer(&mut buffer, &peer, hall, &tell, &mut out).await;
                    if !put(&mut write, &mut out).await || !more {
                        break;
                    }
                    silent.as_mut().reset(tokio::time::Instant::now() + hall.config.silent_wait);
                }
                _ => break,
            },
            Some(bytes) = soon.recv() => {
                out.extend_from_slice(&bytes);
                if !put(&mut write, &mut out).await {
                    break;
                }
            }
            () = silent.as_mut() => break,
            () = told(&mut stopping) => break,
        }
    }
    drop(tell);
    while let Some(bytes) = soon.recv().await {
        out.extend_from_slice(&bytes);
        if !put(&mut write, &mut out).await {
            return;
        }
    }
    let _ = timeout(Duration::from_micros(SIP_WRITE_MICROS_MAX), write.shutdown()).await;
}

/// Answers everything that is whole. False when nothing can follow.
async fn answer(buffer: &mut StreamBuffer, peer: &Peer, hall: &Arc<Hall>, tell: &mpsc::Sender<Vec<u8>>, out: &mut Vec<u8>) -> bool {
    loop {
        let (bytes, last) = match buffer.next_piece() {
            Piece::More => return true,
            Piece::Ping => {
                out.extend_from_slice(b"\r\n");
                continue;
            }
            Piece::Message { bytes, last } => (bytes, last),
            Piece::TooLong(bytes) => (bytes, true),
        };
        match hall.hear(&bytes, peer) {
            Some(Reply { what: What::Now(answer), .. }) => out.extend_from_slice(&answer),
            Some(Reply { what: What::Soon(later), .. }) => match tell.clone().try_reserve_owned() {
                Ok(place) => {
                    let hall = Arc::clone(hall);
                    drop(tokio::spawn(async move { drop(place.send(later.answer(&hall).await)) }));
                }
                // Who sends so much at once waits for it.
                Err(_) => out.extend_from_slice(&later.answer(hall).await),
            },
            None => {}
        }
        if last {
            return false;
        }
    }
}

/// False when the peer does not read.
async fn put(write: &mut (impl AsyncWrite + Unpin), out: &mut Vec<u8>) -> bool {
    if out.is_empty() {
        return true;
    }
    let written = timeout(Duration::from_micros(SIP_WRITE_MICROS_MAX), async {
        write.write_all(out).await?;
        write.flush().await
    });
    let written = matches!(written.await, Ok(Ok(())));
    out.clear();
    written
}
