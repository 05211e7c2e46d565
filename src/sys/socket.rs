//! Sockets: the options and calls that the safe crates lack.

use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor with the running tokio runtime, for reading. The descriptor must be non-blocking.
pub fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    watch_for(fd, Interest::READABLE)
}

/// The same for writing: to be held only while one waits for room.
pub fn watch_for_room(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    watch_for(fd, Interest::WRITABLE)
}

#[expect(unsafe_code, reason = "AsyncFd cannot see that the descriptor stays open; OwnedFd can promise it")]
fn watch_for(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open for its whole life, always names the same descriptor, and `AsyncFd` owns it until it is dropped.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(|error| error.into_parts().1)
}

/// `setsockopt` with an integer, for the options that neither socket2 nor nix name.
#[expect(unsafe_code, reason = "setsockopt takes a pointer")]
pub fn set_int(fd: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointer is to a live integer of the length given; the kernel copies it.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Receive buffer of `bytes`: beyond `net.core.rmem_max` when CAP_NET_ADMIN allows it, else up to that.
pub fn set_receive_buffer(fd: &OwnedFd, bytes: usize) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};
    setsockopt(fd, sockopt::RcvBufForce, &bytes).or_else(|_| setsockopt(fd, sockopt::RcvBuf, &bytes))?;
    Ok(())
}

/// A netlink socket, bound, non-blocking, with extended acknowledgements (a text beside an error) where the kernel has them.
pub fn netlink(protocol: SockProtocol) -> io::Result<OwnedFd> {
    use std::os::fd::AsFd;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = nix::sys::socket::socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    nix::sys::socket::bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK] {
        // Linux 4.12 and 4.3: without them an error has no text and carries the whole request, which is read as well.
        let _ = set_int(fd.as_fd(), libc::SOL_NETLINK, option, 1);
    }
    Ok(fd)
}

/// Sends to the kernel's end of a netlink socket.
pub fn netlink_send(fd: &OwnedFd, request: &[u8]) -> io::Result<()> {
    let sent = nix::sys::socket::sendto(fd.as_raw_fd(), request, &NetlinkAddr::new(0, 0), MsgFlags::MSG_DONTWAIT)?;
    if sent == request.len() { Ok(()) } else { Err(io::Error::new(io::ErrorKind::WriteZero, "netlink took part of a request")) }
}

/// Receives one netlink datagram that the kernel itself sent; `Ok(None)` for one from another process, which anybody may send.
pub fn netlink_receive(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let mut parts = [io::IoSliceMut::new(buffer)];
    let received = nix::sys::socket::recvmsg::<NetlinkAddr>(fd.as_raw_fd(), &mut parts, None, MsgFlags::MSG_DONTWAIT)?;
    if received.flags.contains(MsgFlags::MSG_TRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "netlink message longer than the receive buffer"));
    }
    let from_kernel = received.address.is_some_and(|sender| sender.pid() == 0);
    Ok(from_kernel.then_some(received.bytes))
}

/// Receives as many datagrams as wait, one in each `stride` bytes of `buffer`, with one system call; their lengths go into
/// `lengths`, whose length is also the most that are taken. Fewer than that means that no more waited.
#[expect(unsafe_code, reason = "recvmmsg takes pointers; nix allocates for every call")]
pub fn receive_many(fd: &OwnedFd, buffer: &mut [u8], stride: usize, lengths: &mut [usize]) -> io::Result<usize> {
    const MOST: usize = 16;
    let mut parts = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; MOST];
    // SAFETY: all-zero is a valid msghdr (no address, no parts, no control data), on every libc with or without padding.
    let mut headers: [libc::mmsghdr; MOST] = unsafe { std::mem::zeroed() };
    let mut room = 0;
    for ((slot, part), header) in buffer.chunks_exact_mut(stride).take(lengths.len()).zip(&mut parts).zip(&mut headers) {
        *part = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() };
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        room += 1;
    }
    // SAFETY: `room` headers point at `parts`, and these at disjoint parts of `buffer`; all outlive the call.
    let taken = unsafe { libc::recvmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), room, libc::MSG_DONTWAIT as _, std::ptr::null_mut()) };
    let taken = usize::try_from(taken).map_err(|_| io::Error::last_os_error())?;
    for (length, header) in lengths.iter_mut().zip(&headers).take(taken) {
        *length = header.msg_len as usize;
    }
    Ok(taken)
}

/// Sends the same link-layer frame `repeat` times out of an interface through an AF_PACKET socket, as few system calls as
/// the kernel allows. `destination` is only told to the driver: the frame already carries it.
#[expect(unsafe_code, reason = "no safe constructor for sockaddr_ll, and sendmmsg takes pointers")]
pub fn send_frames(fd: &OwnedFd, ifindex: u32, ethertype: u16, destination: [u8; 6], frame: &[u8], repeat: usize) -> io::Result<()> {
    const BATCH: usize = 16;
    let mut address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as libc::c_ushort,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: libc::c_int::try_from(ifindex).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [0; 8],
    };
    address.sll_addr[..6].copy_from_slice(&destination);
    let mut part = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
    // SAFETY: all-zero is a valid msghdr (no address, no parts, no control data), on every libc with or without padding.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = (&raw mut address).cast();
    header.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    let mut headers = [libc::mmsghdr { msg_hdr: header, msg_len: 0 }; BATCH];

    let mut left = repeat;
    while left > 0 {
        let batch = left.min(BATCH);
        // SAFETY: `batch` headers are initialised and point at `address`, `part` and `frame`, which outlive the call; sending only reads them.
        let sent = unsafe { libc::sendmmsg(fd.as_raw_fd(), headers.as_mut_ptr(), batch as libc::c_uint, libc::MSG_DONTWAIT as _) };
        match usize::try_from(sent) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => left -= sent.min(left),
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
    Ok(())
}
