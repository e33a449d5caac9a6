//! Sockets for datagrams, with room for what comes while every core is busy.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::SockRef;

use crate::limits::UDP_BUFFER_BYTES;

/// Binds a socket and asks the system for [`UDP_BUFFER_BYTES`] each way. The system may give less: that is logged with its remedy,
/// and what does not fit is lost until its sender sends it again, for SIP half a second later.
pub(super) fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(addr)?;
    let options = SockRef::from(&socket);
    let asked = options.set_recv_buffer_size(UDP_BUFFER_BYTES).and_then(|()| options.set_send_buffer_size(UDP_BUFFER_BYTES));
    // Linux books as much again for its own use and says the sum.
    let given = options.recv_buffer_size().unwrap_or(0) / if cfg!(target_os = "linux") { 2 } else { 1 };
    if asked.is_err() || given < UDP_BUFFER_BYTES {
        tracing::warn!(
            %addr,
            bytes = given,
            wanted = UDP_BUFFER_BYTES,
            "the system gives a socket less room than a burst needs: raise net.core.rmem_max and net.core.wmem_max"
        );
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_as_much_room_as_the_system_allows() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let most = std::fs::read_to_string("/proc/sys/net/core/rmem_max").ok().and_then(|text| text.trim().parse::<usize>().ok());
        let usual = SockRef::from(&UdpSocket::bind(any).unwrap()).recv_buffer_size().unwrap();
        let socket = bind(any).unwrap();
        let given = SockRef::from(&socket).recv_buffer_size().unwrap();
        assert!(given >= usual, "{given} of {usual}");
        if let Some(most) = most {
            assert!(given >= most.min(UDP_BUFFER_BYTES), "{given} of {most}");
        }
    }
}
