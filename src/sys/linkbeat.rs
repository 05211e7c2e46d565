//! Asks a network driver whether its link has a carrier, for drivers that do not tell it by themselves.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// `struct ifreq`: a name, and room for what is asked (24 bytes on 64-bit machines; MII has 8 of them).
#[repr(C, align(8))]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    room: Room,
}

#[repr(C)]
union Room {
    flags: libc::c_short,
    mii: Mii,
    data: *mut Value,
    bytes: [u8; 24],
}

/// `struct mii_ioctl_data`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Mii {
    phy: u16,
    register: u16,
    _value_in: u16,
    value_out: u16,
}

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

const SIOCGMIIPHY: libc::Ioctl = 0x8947;
const SIOCGMIIREG: libc::Ioctl = 0x8948;
const ETHTOOL_GLINK: u32 = 0x0000_000a;
/// The status register of a transceiver, and its bit for a link (IEEE 802.3 §22.2.4.2).
const MII_BMSR: u16 = 1;
const BMSR_LINK: u16 = 4;

/// A socket to ask through.
///
/// # Errors
/// No more descriptors.
pub fn socket() -> io::Result<OwnedFd> {
    let kind = socket2::Type::DGRAM.cloexec();
    socket2::Socket::new(socket2::Domain::IPV4, kind, None).map(OwnedFd::from)
}

fn request(interface: &str) -> io::Result<Request> {
    let mut name = [0; libc::IFNAMSIZ];
    let bytes = interface.as_bytes();
    // One byte stays zero.
    match name.get_mut(..bytes.len()).filter(|_| bytes.len() < libc::IFNAMSIZ) {
        Some(room) => room.copy_from_slice(bytes),
        None => return Err(io::ErrorKind::InvalidInput.into()),
    }
    Ok(Request { name, room: Room { bytes: [0; 24] } })
}

#[expect(unsafe_code, reason = "ioctl takes a pointer")]
fn ask(socket: &OwnedFd, what: libc::Ioctl, request: &mut Request) -> io::Result<()> {
    // SAFETY: the request is as large as the kernel's ifreq, lives through the call, and holds a pointer only to what lives as long.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), what, std::ptr::from_mut(request)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The transceiver's own word. Needs CAP_NET_ADMIN.
///
/// # Errors
/// No such interface, or it has no transceiver (EOPNOTSUPP).
#[expect(unsafe_code, reason = "what the kernel wrote stands in a union")]
pub fn mii(socket: &OwnedFd, interface: &str) -> io::Result<bool> {
    let mut request = request(interface)?;
    ask(socket, SIOCGMIIPHY, &mut request)?;
    request.room.mii.register = MII_BMSR;
    ask(socket, SIOCGMIIREG, &mut request)?;
    // SAFETY: all bytes of the union were initialised, and any bits are a value of these integers.
    let status = unsafe { request.room.mii.value_out };
    Ok(status & BMSR_LINK != 0)
}

/// The driver's word.
///
/// # Errors
/// No such interface, or its driver does not say (EOPNOTSUPP).
pub fn ethtool(socket: &OwnedFd, interface: &str) -> io::Result<bool> {
    let mut request = request(interface)?;
    let mut value = Value { command: ETHTOOL_GLINK, data: 0 };
    request.room.data = &raw mut value;
    ask(socket, libc::SIOCETHTOOL as libc::Ioctl, &mut request)?;
    Ok(value.data != 0)
}

/// The flags that the kernel keeps.
///
/// # Errors
/// No such interface.
#[expect(unsafe_code, reason = "what the kernel wrote stands in a union")]
pub fn flags(socket: &OwnedFd, interface: &str) -> io::Result<bool> {
    let mut request = request(interface)?;
    ask(socket, libc::SIOCGIFFLAGS as libc::Ioctl, &mut request)?;
    // SAFETY: all bytes of the union were initialised, and any bits are a value of this integer.
    let flags = i32::from(unsafe { request.room.flags });
    Ok(flags & libc::IFF_RUNNING != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_up_and_has_no_transceiver() {
        let socket = socket().unwrap();
        // In a fresh namespace it is down until somebody raises it: the answer counts, not what it is.
        assert!(flags(&socket, "lo").is_ok());
        assert!(ethtool(&socket, "lo").is_ok());
        assert!(mii(&socket, "lo").is_err());
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let socket = socket().unwrap();
        assert!(flags(&socket, "nothere0").is_err());
        assert!(ethtool(&socket, "nothere0").is_err());
        assert_eq!(flags(&socket, "a_name_of_16_b_x").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
