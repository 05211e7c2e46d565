//! Which datagrams count: keepalived's checks in keepalived's order; the first that fails drops, and what is dropped changes nothing.

use crate::types::{CentiSecs, Family, Sum, Version};
use crate::vrrp::auth;
use crate::vrrp::discard::{Discard, Remark};
use crate::vrrp::event::{Advert, State};
use crate::vrrp::packet::{self, Pdu, VRRP_PROTOCOL};
use crate::vrrp::settings::{Auth, Settings, Transport};
use crate::vrrp::stats::Stats;
use std::net::IpAddr;

/// What a socket received.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Source address of the IP header.
    pub source: IpAddr,
    /// Destination address of the IP header.
    pub destination: IpAddr,
    /// TTL or hop limit as it arrived.
    pub ttl: Option<u8>,
    /// What follows the IP header.
    pub payload: &'a [u8],
    /// Protocol of the IP header: 112, or 51 for an authentication header.
    pub protocol: u8,
    /// The IPv4 header, when the socket gives it: for the authentication header's digest and for the total length.
    pub ip_header: Option<&'a [u8]>,
}

/// What the checks need to know of the instance beside its settings.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Its state.
    pub state: State,
    /// The master it listens to.
    pub master: Option<IpAddr>,
    /// Highest sequence number of its authentication headers (see [`sequence`]); 0 without.
    pub sequence: u32,
}

/// What to do with a datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It counts.
    Accepted(Advert),
    /// It counts, and there is something to say about it.
    AcceptedWithNote(Advert, Vec<Remark>),
    /// It does not count, because of this.
    Dropped(Discard),
}

/// Checks a datagram for `settings` and counts the outcome. Nothing else may change because of one that is dropped.
pub fn check(settings: &Settings, context: Context, stats: &mut Stats, datagram: &Datagram<'_>) -> Verdict {
    let mut remarks = Vec::new();
    match checked(settings, context, datagram, &mut remarks) {
        Ok(advert) => {
            stats.adverts_received += 1;
            stats.priority_zero_received += u64::from(advert.priority == 0);
            if remarks.is_empty() {
                return Verdict::Accepted(advert);
            }
            if remarks.iter().any(|remark| matches!(remark, Remark::AddressCount { .. } | Remark::AddressMissing { .. })) {
                stats.address_list_errors += 1;
            }
            Verdict::AcceptedWithNote(advert, remarks)
        }
        Err(discard) => {
            discard.count(stats);
            Verdict::Dropped(discard)
        }
    }
}

/// The number in the datagram's authentication header: the instance's `Sequence` hears it once the advert was accepted.
pub fn sequence(datagram: &Datagram<'_>) -> Option<u32> {
    if datagram.protocol != auth::AH_PROTOCOL {
        return None;
    }
    auth::Header::split(datagram.payload).map(|(header, _)| header.sequence())
}

/// The order is the reference's, so that the same counter moves for the same datagram.
fn checked(settings: &Settings, context: Context, datagram: &Datagram<'_>, remarks: &mut Vec<Remark>) -> Result<Advert, Discard> {
    let (claimed, payload) = without_padding(datagram);
    let (header, advert) = check_header_presence(settings, datagram, payload)?;
    let pdu = check_length(settings, datagram, advert)?;
    check_ttl(settings, datagram)?;
    if pdu.version() != settings.version.number() {
        return Err(Discard::Version { got: pdu.version(), expected: settings.version.number() });
    }
    if settings.version == Version::V2 {
        check_auth(settings, context, datagram, pdu, header, advert)?;
    }
    let interval = check_interval(settings, context, pdu, remarks)?;
    if pdu.kind() != packet::ADVERTISEMENT {
        return Err(Discard::Type(pdu.kind()));
    }
    if claimed.is_some_and(|claimed| claimed > datagram.payload.len()) {
        let header = datagram.ip_header.map_or(0, <[u8]>::len);
        return Err(Discard::TotalLength { claimed: claimed.unwrap_or(0) + header, got: datagram.payload.len() + header });
    }
    check_checksum(settings, datagram, advert, remarks)?;
    check_destination(settings, datagram)?;
    if settings.owner_ignore_adverts && settings.priority.is_owner() {
        return Err(Discard::OwnerIgnores);
    }
    check_addresses(settings, context, datagram, pdu, remarks);
    check_peer(settings, datagram)?;
    Ok(Advert { source: datagram.source, priority: pdu.priority(), interval })
}

/// What the IPv4 header says follows it, in bytes, and that much of what came: the rest is Ethernet's padding.
fn without_padding<'a>(datagram: &Datagram<'a>) -> (Option<usize>, &'a [u8]) {
    let claimed = datagram.ip_header.and_then(|header| {
        let total = header.get(2..4)?.first_chunk()?;
        Some(usize::from(u16::from_be_bytes(*total)).saturating_sub(header.len()))
    });
    let length = claimed.map_or(datagram.payload.len(), |claimed| claimed.min(datagram.payload.len()));
    (claimed, datagram.payload.get(..length).unwrap_or_default())
}

/// 1: an authentication header is there exactly when it is configured.
fn check_header_presence<'a>(
    settings: &Settings,
    datagram: &Datagram<'_>,
    payload: &'a [u8],
) -> Result<(Option<auth::Header<'a>>, &'a [u8]), Discard> {
    let wanted = matches!(settings.auth, Some(Auth::Header(_)));
    match (wanted, datagram.protocol == VRRP_PROTOCOL) {
        (false, true) => Ok((None, payload)),
        (false, false) => Err(Discard::HeaderUnexpected),
        (true, true) => Err(Discard::HeaderMissing),
        (true, false) => match auth::Header::split(payload) {
            Some((header, advert)) => Ok((Some(header), advert)),
            None => Err(Discard::Length { got: payload.len(), expected: auth::AH_LENGTH + packet::HEADER_LENGTH }),
        },
    }
}

/// 2: exactly the length that its count of addresses makes, by its own version: that is checked only later.
fn check_length<'a>(settings: &Settings, datagram: &Datagram<'_>, advert: &'a [u8]) -> Result<Pdu<'a>, Discard> {
    let header = match settings.family {
        Family::V4 => datagram.ip_header.map_or(20, <[u8]>::len),
        Family::V6 => 0,
    };
    let wrong = |expected: usize| Discard::Length { got: header + advert.len(), expected: header + expected };
    let pdu = Pdu::new(advert).ok_or(wrong(packet::length(settings.version, settings.family, 0)))?;
    let version = if pdu.version() == Version::V2.number() { Version::V2 } else { Version::V3 };
    let expected = packet::length(version, settings.family, usize::from(pdu.count()));
    if advert.len() == expected { Ok(pdu) } else { Err(wrong(expected)) }
}

/// 3: multicast comes from the same link (RFC 9568 §5.1.1.3); unicast may be routed, within what the peer's line says.
fn check_ttl(settings: &Settings, datagram: &Datagram<'_>) -> Result<(), Discard> {
    let got = datagram.ttl;
    match &settings.transport {
        Transport::Multicast { .. } if got == Some(255) => Ok(()),
        Transport::Multicast { .. } => Err(Discard::Ttl { got }),
        Transport::Unicast { peers, .. } => {
            let Some(peer) = peers.iter().find(|peer| peer.address == datagram.source) else { return Ok(()) };
            if peer.min_ttl.is_none() && peer.max_ttl.is_none() {
                return Ok(());
            }
            let (min, max) = (peer.min_ttl.unwrap_or(0), peer.max_ttl.unwrap_or(u8::MAX));
            if got.is_some_and(|ttl| (min..=max).contains(&ttl)) { Ok(()) } else { Err(Discard::TtlRange { got, min, max }) }
        }
    }
}

/// 6: the type is known, is ours, and the secret is right.
fn check_auth(
    settings: &Settings,
    context: Context,
    datagram: &Datagram<'_>,
    pdu: Pdu<'_>,
    header: Option<auth::Header<'_>>,
    advert: &[u8],
) -> Result<(), Discard> {
    let got = pdu.auth_type();
    if got > auth::HEADER {
        return Err(Discard::AuthTypeUnknown(got));
    }
    let expected = match settings.auth {
        None => auth::NONE,
        Some(Auth::Password(_)) => auth::PASSWORD,
        Some(Auth::Header(_)) => auth::HEADER,
    };
    if got != expected {
        return Err(Discard::AuthType { got, expected });
    }
    match (&settings.auth, header) {
        (None, _) => Ok(()),
        (Some(Auth::Password(password)), _) => match pdu.auth_data() {
            Some(data) if auth::same_secret(data, password) => Ok(()),
            Some(_) | None => Err(Discard::Password),
        },
        (Some(Auth::Header(key)), Some(header)) => {
            if !header.verifies(key, datagram.ip_header.unwrap_or_default(), advert, settings.transport.is_unicast()) {
                return Err(Discard::Digest);
            }
            let (got, highest) = (header.sequence(), context.sequence);
            if got > highest { Ok(()) } else { Err(Discard::Replayed { got, highest }) }
        }
        (Some(Auth::Header(_)), None) => Err(Discard::HeaderMissing),
    }
}

/// 7 and 10: version 2 demands our interval; version 3 takes any but zero (keepalived takes zero too and then never waits).
fn check_interval(settings: &Settings, context: Context, pdu: Pdu<'_>, remarks: &mut Vec<Remark>) -> Result<CentiSecs, Discard> {
    let ours = settings.advert_interval.get();
    match settings.version {
        Version::V2 => {
            let (got, expected) = (u16::from(pdu.interval_seconds()), ours.div_ceil(100));
            if got == expected { Ok(settings.advert_interval) } else { Err(Discard::Interval { got, expected, unit: "sec" }) }
        }
        Version::V3 => {
            let got = pdu.interval_centisecs();
            if got != ours && context.state == State::Master {
                remarks.push(Remark::Interval { got, expected: ours });
            }
            CentiSecs::new(got).ok_or(Discard::Interval { got, expected: ours, unit: "centisec" })
        }
    }
}

/// 11: the sum over everything, the checksum field included, is zero.
fn check_checksum(settings: &Settings, datagram: &Datagram<'_>, advert: &[u8], remarks: &mut Vec<Remark>) -> Result<(), Discard> {
    let mut sum = Sum::default();
    if packet::has_pseudo_header(settings) {
        sum = sum.with_pseudo_header(VRRP_PROTOCOL, datagram.source, datagram.destination, advert.len());
    }
    match sum.with(advert).finish() {
        0 => Ok(()),
        _ if settings.version == Version::V3 && settings.v3_checksum_as_v2 => {
            remarks.push(Remark::Checksum);
            Ok(())
        }
        _ => Err(Discard::Checksum { version: settings.version.number() }),
    }
}

/// 12: it came the way the instance sends.
fn check_destination(settings: &Settings, datagram: &Datagram<'_>) -> Result<(), Discard> {
    let multicast = datagram.destination.is_multicast();
    if multicast == settings.transport.is_unicast() { Err(Discard::Destination { multicast }) } else { Ok(()) }
}

/// 14: the same addresses in any order; a difference is said and counted, no more. `skip_check_adv_addr` trusts the current master.
fn check_addresses(settings: &Settings, context: Context, datagram: &Datagram<'_>, pdu: Pdu<'_>, remarks: &mut Vec<Remark>) {
    if settings.skip_check_adv_addr && context.state == State::Backup && context.master == Some(datagram.source) {
        return;
    }
    let bytes = pdu.addresses(settings.family).unwrap_or_default();
    let size = settings.family.octets();
    let expected = packet::advertised(settings).count();
    let got = usize::from(pdu.count());
    if got != expected {
        remarks.push(Remark::AddressCount { got, expected });
        return;
    }
    // Nearly always the order is ours, and then one comparison an address is enough.
    let in_order = packet::advertised(settings).zip(bytes.chunks_exact(size)).all(|(ours, theirs)| is_address(ours, theirs));
    if in_order {
        return;
    }
    let missing = packet::advertised(settings).find(|ours| !bytes.chunks_exact(size).any(|theirs| is_address(*ours, theirs)));
    if let Some(address) = missing {
        remarks.push(Remark::AddressMissing { vrid: settings.vrid, address });
    }
}

/// Whether these are the address's bytes.
fn is_address(address: IpAddr, bytes: &[u8]) -> bool {
    match address {
        IpAddr::V4(address) => address.octets() == bytes,
        IpAddr::V6(address) => address.octets() == bytes,
    }
}

/// 15: `check_unicast_src`.
fn check_peer(settings: &Settings, datagram: &Datagram<'_>) -> Result<(), Discard> {
    match &settings.transport {
        Transport::Unicast { peers, .. } if settings.check_unicast_src => {
            if peers.iter().any(|peer| peer.address == datagram.source) {
                Ok(())
            } else {
                Err(Discard::NotPeer(datagram.source))
            }
        }
        Transport::Unicast { .. } | Transport::Multicast { .. } => Ok(()),
    }
}

#[cfg(test)]
mod tests;
