//! Reads what Linux has counted of one TCP connection, over netlink as `ss` does (`sock_diag(7)`).
//!
//! The socket option `TCP_INFO` has the same counts, but no crate reads it without `unsafe` code in this project.
//! The kernel answers each query before the call that sends it returns.

use std::{
    io::{self, ErrorKind, Read},
    net::{IpAddr, SocketAddr},
};

use socket2::{Domain, Protocol, Socket, Type};

use super::Segments;

const AF_NETLINK: i32 = 16;
const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const INET_DIAG_INFO: u16 = 2;

/// The sizes of `nlmsghdr`, `inet_diag_req_v2`, `inet_diag_msg` and `rtattr` in bytes.
const HEADER: usize = 16;
const REQUEST: usize = 56;
const MESSAGE: usize = 72;
const ATTRIBUTE: usize = 4;

/// The offsets of the needed fields in `tcp_info`.
const RETRANSMITS: usize = 2;
const PROBES: usize = 3;
const UNACKED: usize = 24;
const SEGMENTS_OUT: usize = 136;
const SEGMENTS_IN: usize = 140;
const NOT_SENT: usize = 144;

/// A netlink socket to query the kernel.
#[derive(Debug)]
pub(super) struct Diagnosis {
    socket: Socket,
    sequence: u32,
}

impl Diagnosis {
    /// Opens the socket and tests it with the listening socket.
    ///
    /// # Errors
    /// The system does not answer queries about its connections.
    pub(super) fn new(listener: SocketAddr) -> io::Result<Diagnosis> {
        let socket =
            Socket::new(Domain::from(AF_NETLINK), Type::DGRAM, Some(Protocol::from(NETLINK_SOCK_DIAG)))?;
        socket.set_nonblocking(true)?;
        let mut diagnosis = Diagnosis { socket, sequence: 0 };
        // For a connection that does not exist, the kernel finds the socket that would accept it.
        diagnosis.message(listener, SocketAddr::new(listener.ip(), 1))?;
        Ok(diagnosis)
    }

    /// The counts of the connection between two addresses.
    pub(super) fn of(&mut self, local: SocketAddr, peer: SocketAddr) -> io::Result<Segments> {
        let message = self.message(local, peer)?;
        info(&message).and_then(segments).ok_or_else(|| ErrorKind::InvalidData.into())
    }

    /// The attributes of the kernel's answer.
    fn message(&mut self, local: SocketAddr, peer: SocketAddr) -> io::Result<Vec<u8>> {
        self.sequence = self.sequence.wrapping_add(1);
        self.socket.send(&request(self.sequence, local, peer))?;
        loop {
            let mut answer = vec![0; 4096];
            let read = (&self.socket).read(&mut answer)?;
            answer.truncate(read);
            // The answer to an earlier query that came too late.
            if word(&answer, 8) != Some(self.sequence) {
                continue;
            }
            return match half(&answer, 4) {
                Some(SOCK_DIAG_BY_FAMILY) if answer.len() >= HEADER + MESSAGE => {
                    Ok(answer.split_off(HEADER + MESSAGE))
                }
                Some(NLMSG_ERROR) => {
                    let errno = word(&answer, HEADER).map_or(0, u32::cast_signed).saturating_neg();
                    Err(io::Error::from_raw_os_error(errno))
                }
                _ => Err(ErrorKind::InvalidData.into()),
            };
        }
    }
}

fn request(sequence: u32, local: SocketAddr, peer: SocketAddr) -> Vec<u8> {
    let mut request = Vec::with_capacity(HEADER + REQUEST);
    request.extend(u32::try_from(HEADER + REQUEST).unwrap_or_default().to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    request.extend(sequence.to_ne_bytes());
    // Any sequence number that the kernel gave this socket.
    request.extend(0_u32.to_ne_bytes());
    let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
    request.extend([family, IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0]);
    // In any state.
    request.extend(u32::MAX.to_ne_bytes());
    request.extend(local.port().to_be_bytes());
    request.extend(peer.port().to_be_bytes());
    request.extend(address(local.ip()));
    request.extend(address(peer.ip()));
    // A link-local address belongs to an interface.
    let interface = match peer {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(peer) => peer.scope_id(),
    };
    request.extend(interface.to_ne_bytes());
    // No cookie: any socket.
    request.extend(u64::MAX.to_ne_bytes());
    request
}

fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let mut address = [0; 16];
            address[..4].copy_from_slice(&ip.octets());
            address
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// The `tcp_info` among the attributes.
fn info(mut attributes: &[u8]) -> Option<&[u8]> {
    loop {
        let length = usize::from(half(attributes, 0)?);
        let value = attributes.get(ATTRIBUTE..length)?;
        if half(attributes, 2) == Some(INET_DIAG_INFO) {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(ATTRIBUTE)..)?;
    }
}

/// `None` before Linux 4.6, which does not count segments.
fn segments(info: &[u8]) -> Option<Segments> {
    let is_owed = word(info, UNACKED)? > 0 || word(info, NOT_SENT)? > 0;
    Some(Segments {
        received: word(info, SEGMENTS_IN)?,
        sent: word(info, SEGMENTS_OUT)?,
        is_retried: is_owed && (info[RETRANSMITS] > 0 || info[PROBES] > 0),
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        net::{TcpListener, TcpStream},
        time::Duration,
    };

    use tokio::time::Instant;

    use super::*;

    #[test]
    fn tcp_segments_are_counted_for_each_kind_of_address() {
        for bound in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"] {
            let listener = TcpListener::bind(bound).unwrap();
            let at = listener.local_addr().unwrap();
            // [::] accepts clients of both address families.
            let loopbacks: &[&str] = match bound {
                "[::1]:0" => &["::1"],
                "[::]:0" => &["::1", "127.0.0.1"],
                _ => &["127.0.0.1"],
            };
            for loopback in loopbacks {
                let ip: IpAddr = loopback.parse().unwrap();
                let mut client = TcpStream::connect((ip, at.port())).unwrap();
                let (server, peer) = listener.accept().unwrap();
                let mut diagnosis = Diagnosis::new(at).unwrap();
                let local = server.local_addr().unwrap();
                let before = diagnosis.of(local, peer).unwrap();
                client.write_all(b"a").unwrap();
                let began = Instant::now();
                let after = loop {
                    let after = diagnosis.of(local, peer).unwrap();
                    if after != before || began.elapsed() > Duration::from_secs(60) {
                        break after;
                    }
                };
                assert_eq!(after.received, before.received + 1, "{bound} {loopback}");
                assert!(!after.is_retried);
            }
        }
    }

    #[test]
    fn socket_unknown_to_the_kernel_is_reported() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(Diagnosis::new(free).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn cut_answer_of_the_kernel_is_ignored() {
        let mut whole = vec![0; 4 + 148];
        whole[..2].copy_from_slice(&152_u16.to_ne_bytes());
        whole[2..4].copy_from_slice(&INET_DIAG_INFO.to_ne_bytes());
        assert!(info(&whole).and_then(segments).is_some());
        for length in 0..whole.len() {
            assert!(info(&whole[..length]).is_none(), "{length}");
        }
        assert!(segments(&whole[4..147]).is_none());
        // An attribute of length 0 would cause an endless loop.
        assert!(info(&[0; 8]).is_none());
    }
}
