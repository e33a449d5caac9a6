//! UDP: one thread receives and answers OPTIONS, others work on calls.
//!
//! The receiver does next to nothing with a datagram, so that the socket's own buffer, which is small, is empty when a burst comes.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};

use super::Hall;
use super::calls::{Reply, What};
use crate::edge::ingress::count;

/// How often the receiver looks whether it should end.
const LOOK: Duration = Duration::from_millis(50);
/// A socket whose buffer is full for longer has lost the answer; its request comes again.
const SEND_WAIT: Duration = Duration::from_millis(10);
/// The largest a datagram can be.
const DATAGRAM_BYTES_MAX: usize = 65_535;

struct Datagram {
    bytes: Box<[u8]>,
    source: SocketAddr,
}

/// Starts the threads of one socket.
pub(super) fn start(socket: &Arc<UdpSocket>, hall: &Arc<Hall>) -> io::Result<Vec<JoinHandle<()>>> {
    socket.set_read_timeout(Some(LOOK))?;
    socket.set_write_timeout(Some(SEND_WAIT))?;
    let (put, take) = bounded(hall.config.queue_max.max(1));
    let spawn = |name: String, work: Box<dyn FnOnce() + Send>| std::thread::Builder::new().name(name).spawn(work);
    let mut threads = Vec::new();
    for number in 0..hall.config.workers.max(1) {
        let (take, socket, hall) = (take.clone(), Arc::clone(socket), Arc::clone(hall));
        threads.push(spawn(format!("najda-sip-{number}"), Box::new(move || work(&take, &socket, &hall)))?);
    }
    let (socket, hall) = (Arc::clone(socket), Arc::clone(hall));
    threads.push(spawn("najda-sip-udp".to_owned(), Box::new(move || receive(&socket, &hall, &put)))?);
    Ok(threads)
}

/// Ends with the door; the workers end when what is queued is answered.
fn receive(socket: &Arc<UdpSocket>, hall: &Hall, queue: &Sender<Datagram>) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    while !hall.is_stopping() {
        let (length, source) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(why) if matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => continue,
            // An ICMP message about an answer of ours: the next datagram is somebody else's.
            Err(why) => {
                tracing::debug!(%why, "receiving a datagram failed");
                continue;
            }
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        if begins(bytes, b"OPTIONS ") {
            if let Some(reply) = hall.hear(bytes, &hall.peers.at(source)) {
                send(socket, hall, reply);
            }
        } else if is_worth_a_look(bytes) && queue.try_send(Datagram { bytes: bytes.into(), source }).is_err() {
            // Its sender sends it again after half a second; what waits here has waited less.
            count(&hall.counters.refused_full);
        }
    }
}

fn begins(bytes: &[u8], word: &[u8]) -> bool {
    bytes.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// Keepalives, answers to nobody's question and acknowledgements end here.
fn is_worth_a_look(bytes: &[u8]) -> bool {
    !begins(bytes, b"ACK ") && !begins(bytes, b"SIP/") && !bytes.trim_ascii().is_empty()
}

fn work(queue: &Receiver<Datagram>, socket: &Arc<UdpSocket>, hall: &Arc<Hall>) {
    while let Ok(Datagram { bytes, source }) = queue.recv() {
        if let Some(reply) = hall.hear(&bytes, &hall.peers.at(source)) {
            match reply {
                Reply { to, what: What::Soon(soon) } => {
                    let (socket, hall) = (Arc::clone(socket), Arc::clone(hall));
                    let runtime = hall.runtime.clone();
                    runtime.spawn(async move {
                        let bytes = soon.answer(&hall).await;
                        send(&socket, &hall, Reply { to, what: What::Now(bytes) });
                    });
                }
                reply => send(socket, hall, reply),
            }
        }
    }
}

fn send(socket: &UdpSocket, hall: &Hall, reply: Reply) {
    let What::Now(bytes) = reply.what else { return };
    if let Err(why) = socket.send_to(&bytes, reply.to) {
        count(&hall.counters.unsendable);
        tracing::warn!(to = %reply.to, %why, "an answer could not be sent");
    }
}
