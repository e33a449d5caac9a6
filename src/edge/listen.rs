//! What every HTTP listener of ours has in common: bounded accepting, bounded serving.
//!
//! The loop is ours and not `axum::serve`, which bounds neither the time of a head nor the number of connections.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::ingress::{DoorCounters, count, told};
use crate::limits::HTTP_CONNECTION_MICROS_MAX;

/// Bytes of a request's head: a token, a host and a few more.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

/// Lets guests in, each with a place among `connections_max`, until the door drains; returns when the last has left.
pub(super) async fn accept<F, G>(
    listener: TcpListener,
    connections_max: usize,
    counters: &DoorCounters,
    mut draining: watch::Receiver<bool>,
    guest: F,
) where
    F: Fn(TcpStream, SocketAddr, OwnedSemaphorePermit) -> G,
    G: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(connections_max));
    let mut guests = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, remote)) => match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => drop(guests.spawn(guest(stream, remote, place))),
                    Err(_) => count(&counters.refused_full),
                },
                // Out of descriptors, or the caller left: neither is mended by asking again at once.
                Err(why) => {
                    tracing::warn!(%why, "a connection could not be accepted");
                    sleep(Duration::from_millis(20)).await;
                }
            },
            Some(_) = guests.join_next(), if !guests.is_empty() => {}
            () = told(&mut draining) => break,
        }
    }
    drop(listener);
    while guests.join_next().await.is_some() {}
}

/// Serves one connection, one request at a time, until it ends, the door drains or its time is over. A connection that becomes
/// another protocol's leaves at that moment.
pub(super) async fn serve<I, S>(stream: I, service: S, head_wait: Duration, drain_wait: Duration, mut draining: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = axum::body::Body> + Send,
    S: hyper::service::Service<Request<Incoming>, Response = axum::response::Response, Error = std::convert::Infallible>,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head_wait).max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = told(&mut draining) => None,
        () = sleep(Duration::from_micros(HTTP_CONNECTION_MICROS_MAX)) => None,
    };
    if ended.is_none() {
        // The request under way is answered; the caller comes again on another connection.
        connection.as_mut().graceful_shutdown();
        let _ = timeout(drain_wait, connection).await;
    }
}
