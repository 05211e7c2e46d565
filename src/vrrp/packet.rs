//! An advert's bytes, both ways.
//!
//! Version 2 (RFC 3768 §5.1; keepalived sends the authentication data always, zero when there is none):
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-------+---------------+---------------+---------------+
//! | 2     | Type  | Virtual Rtr ID|   Priority    | Count IP Addrs|
//! +-------+-------+---------------+---------------+---------------+
//! |   Auth Type   | Adver Int (s) |          Checksum             |
//! +---------------+---------------+-------------------------------+
//! |                     IP Addresses, 4 bytes each                |
//! +---------------------------------------------------------------+
//! |                     Authentication Data, 8 bytes              |
//! +---------------------------------------------------------------+
//! ```
//! Version 3 (RFC 9568 §5.1):
//! ```text
//! +-------+-------+---------------+---------------+---------------+
//! | 3     | Type  | Virtual Rtr ID|   Priority    | Count IP Addrs|
//! +-------+-------+---------------+---------------+---------------+
//! |(rsvd) |   Max Adver Int (cs)  |          Checksum             |
//! +-------+-----------------------+-------------------------------+
//! |                     IPvX Addresses, 4 or 16 bytes each        |
//! +---------------------------------------------------------------+
//! ```

use crate::types::{Family, Sum, Version, Vrid};
use crate::vrrp::auth;
use crate::vrrp::settings::{Auth, Settings};
use std::net::IpAddr;

/// IP protocol number of VRRP.
pub const VRRP_PROTOCOL: u8 = 112;
/// The only type there is (RFC 9568 §5.2.2).
pub const ADVERTISEMENT: u8 = 1;
/// Fixed part of both versions, bytes.
pub const HEADER_LENGTH: usize = 8;
/// Authentication data of version 2, bytes.
pub const AUTH_LENGTH: usize = 8;
/// Largest Max Adver Int of version 3: 12 bits of centiseconds.
pub const LONGEST_V3_INTERVAL_CENTISECS: u16 = 0x0fff;

/// A checked view of an advert: every field is there; whether it is right is for `receive` to say.
#[derive(Clone, Copy, Debug)]
pub struct Pdu<'a> {
    header: &'a [u8; HEADER_LENGTH],
    rest: &'a [u8],
}

impl<'a> Pdu<'a> {
    /// `None` when the fixed part is not complete.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        Some(Self { header, rest })
    }

    /// Version nibble.
    pub const fn version(self) -> u8 {
        self.header[0] >> 4
    }

    /// Type nibble.
    pub const fn kind(self) -> u8 {
        self.header[0] & 0x0f
    }

    /// Virtual router id, 0 included.
    pub const fn vrid(self) -> u8 {
        self.header[1]
    }

    /// Priority.
    pub const fn priority(self) -> u8 {
        self.header[2]
    }

    /// How many addresses it says it carries.
    pub const fn count(self) -> u8 {
        self.header[3]
    }

    /// Version 2: authentication type.
    pub const fn auth_type(self) -> u8 {
        self.header[4]
    }

    /// Version 2: interval in seconds.
    pub const fn interval_seconds(self) -> u8 {
        self.header[5]
    }

    /// Version 3: interval in centiseconds, without the reserved bits.
    pub const fn interval_centisecs(self) -> u16 {
        u16::from_be_bytes([self.header[4], self.header[5]]) & LONGEST_V3_INTERVAL_CENTISECS
    }

    /// The addresses' bytes; `None` when the packet ends before them.
    pub fn addresses(self, family: Family) -> Option<&'a [u8]> {
        self.rest.get(..usize::from(self.count()) * family.octets())
    }

    /// Version 2: authentication data; `None` when the packet ends before it.
    pub fn auth_data(self) -> Option<&'a [u8; AUTH_LENGTH]> {
        self.rest.get(usize::from(self.count()) * Family::V4.octets()..)?.first_chunk()
    }
}

/// Length of an advert that carries `count` addresses, bytes.
pub fn length(version: Version, family: Family, count: usize) -> usize {
    let trailer = match version {
        Version::V2 => AUTH_LENGTH,
        Version::V3 => 0,
    };
    HEADER_LENGTH + count * family.octets() + trailer
}

/// Length of the instance's adverts with their IP header and, where there is one, the authentication header; bytes.
pub fn length_on_the_wire(settings: &Settings) -> usize {
    let ip_header = match settings.family {
        Family::V4 => 20,
        Family::V6 => 40,
    };
    let authentication = if ip_protocol(settings) == auth::AH_PROTOCOL { auth::AH_LENGTH } else { 0 };
    ip_header + authentication + length(settings.version, settings.family, settings.addresses.len())
}

/// Whether the version 3 checksum covers a pseudo header: always for IPv6, for IPv4 unless `v3_checksum_as_v2`.
pub(crate) fn has_pseudo_header(settings: &Settings) -> bool {
    match (settings.version, settings.family) {
        (Version::V2, _) => false,
        (Version::V3, Family::V4) => !settings.v3_checksum_as_v2,
        (Version::V3, Family::V6) => true,
    }
}

/// IP protocol that the instance's adverts travel in: 112, or 51 behind an authentication header.
pub fn ip_protocol(settings: &Settings) -> u8 {
    match settings.auth {
        Some(Auth::Header(_)) => auth::AH_PROTOCOL,
        Some(Auth::Password(_)) | None => VRRP_PROTOCOL,
    }
}

/// The virtual router id of what follows an IP header (an advert, or an authentication header and an advert): cheap, to find
/// the instance before any check. `None` when it is too short or says 0.
pub fn vrid_of(payload: &[u8]) -> Option<Vrid> {
    let advert = match auth::Header::split(payload) {
        Some((_, advert)) => advert,
        None => payload,
    };
    Vrid::new(*advert.get(1)?)
}

/// One advert of `settings`, ready to follow an IP header (see [`ip_protocol`]). `destination` is the group or the peer: version 3
/// covers it by the checksum. `auth_sequence` is the authentication header's counter and does nothing without one.
pub fn emit(settings: &Settings, priority: u8, source: IpAddr, destination: IpAddr, auth_sequence: Option<u32>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length(settings.version, settings.family, settings.addresses.len()) + auth::AH_LENGTH);
    emit_into(&mut bytes, settings, priority, source, destination, auth_sequence);
    bytes
}

/// As [`emit`], into a buffer that is cleared first and may be used again.
pub fn emit_into(bytes: &mut Vec<u8>, settings: &Settings, priority: u8, source: IpAddr, destination: IpAddr, auth_sequence: Option<u32>) {
    bytes.clear();
    match settings.auth {
        Some(Auth::Header(key)) if settings.version == Version::V2 => {
            bytes.resize(auth::AH_LENGTH, 0);
            emit_pdu(bytes, settings, priority, source, destination);
            auth::seal(bytes, &key, source, destination, auth_sequence.unwrap_or(0), settings.transport.is_unicast());
        }
        Some(Auth::Header(_) | Auth::Password(_)) | None => emit_pdu(bytes, settings, priority, source, destination),
    }
}

/// Appends the advert itself.
fn emit_pdu(bytes: &mut Vec<u8>, settings: &Settings, priority: u8, source: IpAddr, destination: IpAddr) {
    let start = bytes.len();
    let (word, auth_data) = match settings.version {
        Version::V2 => {
            let seconds = u8::try_from(settings.advert_interval.get().div_ceil(100)).unwrap_or(u8::MAX);
            let (kind, data) = match settings.auth {
                None => (auth::NONE, [0; AUTH_LENGTH]),
                Some(Auth::Password(password)) => (auth::PASSWORD, password),
                Some(Auth::Header(_)) => (auth::HEADER, [0; AUTH_LENGTH]),
            };
            ([kind, seconds], Some(data))
        }
        Version::V3 => (settings.advert_interval.get().min(LONGEST_V3_INTERVAL_CENTISECS).to_be_bytes(), None),
    };
    let version_and_type = settings.version.number() << 4 | ADVERTISEMENT;
    bytes.extend([version_and_type, settings.vrid.get(), priority, 0, word[0], word[1], 0, 0]);
    let mut count = 0;
    for address in advertised(settings) {
        match address {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
        count += 1;
    }
    bytes.extend(auth_data.iter().flatten());
    if let Some(field) = bytes.get_mut(start + 3) {
        *field = count;
    }
    let advert = bytes.get(start..).unwrap_or_default();
    let mut sum = Sum::default();
    if has_pseudo_header(settings) {
        sum = sum.with_pseudo_header(VRRP_PROTOCOL, source, destination, advert.len());
    }
    let checksum = sum.with(advert).finish().to_be_bytes();
    if let Some(field) = bytes.get_mut(start + 6..start + 8) {
        field.copy_from_slice(&checksum);
    }
}

/// The addresses that go into the advert: `virtual_ipaddress` in configuration order, at most as many as the count can say.
pub(crate) fn advertised(settings: &Settings) -> impl Iterator<Item = IpAddr> {
    let own_family = |address: &IpAddr| Family::of(address) == settings.family;
    settings.addresses.iter().map(|address| address.prefix.address()).filter(own_family).take(usize::from(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::CentiSecs;
    use crate::vrrp::testing;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn version_2_is_twenty_bytes_for_one_address_and_carries_the_password() {
        let mut settings = testing::settings();
        settings.vrid = Vrid::new(100).unwrap();
        settings.auth = Some(Auth::Password(*b"1111\0\0\0\0"));
        let bytes = emit(&settings, 100, address("192.0.2.1"), address("224.0.0.18"), None);
        assert_eq!(bytes.len(), 20);
        assert_eq!(bytes[..6], [0x21, 100, 100, 1, 1, 1]);
        assert_eq!(bytes[8..], [10, 0, 0, 1, b'1', b'1', b'1', b'1', 0, 0, 0, 0]);
        assert_eq!(Sum::default().with(&bytes).finish(), 0);
    }

    #[test]
    fn version_3_puts_centiseconds_and_a_pseudo_header_under_the_checksum() {
        let mut settings = testing::settings();
        settings.version = Version::V3;
        settings.advert_interval = CentiSecs::new(4095).unwrap();
        let (source, group) = (address("192.0.2.1"), address("224.0.0.18"));
        let bytes = emit(&settings, 254, source, group, None);
        assert_eq!(bytes[..6], [0x31, 51, 254, 1, 0x0f, 0xff]);
        assert_eq!(bytes.len(), 12);
        assert_eq!(Sum::default().with_pseudo_header(VRRP_PROTOCOL, source, group, 12).with(&bytes).finish(), 0);
        settings.v3_checksum_as_v2 = true;
        let bytes = emit(&settings, 254, source, group, None);
        assert_eq!(Sum::default().with(&bytes).finish(), 0);
    }

    #[test]
    fn excluded_addresses_and_the_other_family_stay_out_of_the_advert() {
        let mut settings = testing::settings();
        settings.excluded = settings.addresses.clone();
        settings.addresses.push(testing::virtual_address("2001:db8::1"));
        settings.addresses.push(testing::virtual_address("10.0.0.9"));
        let bytes = emit(&settings, 100, address("192.0.2.1"), address("224.0.0.18"), None);
        assert_eq!(bytes[3], 2);
        assert_eq!(bytes[8..16], [10, 0, 0, 1, 10, 0, 0, 9]);
    }

    #[test]
    fn the_virtual_router_id_is_found_with_and_without_an_authentication_header() {
        assert_eq!(vrid_of(&[0x21, 51]), Vrid::new(51));
        assert_eq!(vrid_of(&[0x21]), None);
        assert_eq!(vrid_of(&[0x21, 0]), None);
        let mut behind = vec![112, 4, 0, 0];
        behind.resize(24, 0);
        behind.extend([0x21, 7]);
        assert_eq!(vrid_of(&behind), Vrid::new(7));
    }
}
