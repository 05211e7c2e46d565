use super::*;
use crate::types::{Priority, Vrid};
use crate::vrrp::settings::Peer;
use crate::vrrp::testing;

const PEER: &str = "192.0.2.1";
const GROUP: &str = "224.0.0.18";

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A sender and a receiver with the same settings, bent as a test needs, and a datagram on its way.
struct Wire {
    settings: Settings,
    context: Context,
    stats: Stats,
    payload: Vec<u8>,
    destination: IpAddr,
    ttl: Option<u8>,
    protocol: u8,
    ip_header: Option<Vec<u8>>,
}

impl Wire {
    fn new(bend: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = testing::settings();
        bend(&mut settings);
        let destination = if settings.transport.is_unicast() { address("192.0.2.9") } else { address(GROUP) };
        let payload = packet::emit(&settings, 100, address(PEER), destination, Some(1));
        let context = Context { state: State::Backup, master: None, sequence: 0 };
        let protocol = packet::ip_protocol(&settings);
        Self { settings, context, stats: Stats::default(), payload, destination, ttl: Some(255), protocol, ip_header: None }
    }

    fn check(&mut self) -> Verdict {
        let datagram = Datagram {
            source: address(PEER),
            destination: self.destination,
            ttl: self.ttl,
            payload: &self.payload,
            protocol: self.protocol,
            ip_header: self.ip_header.as_deref(),
        };
        check(&self.settings, self.context, &mut self.stats, &datagram)
    }

    /// Sets bytes and puts the checksum right again.
    fn forge(&mut self, at: usize, bytes: &[u8]) {
        self.payload[at..at + bytes.len()].copy_from_slice(bytes);
        self.payload[6..8].fill(0);
        let mut sum = Sum::default();
        if packet::has_pseudo_header(&self.settings) {
            sum = sum.with_pseudo_header(VRRP_PROTOCOL, address(PEER), self.destination, self.payload.len());
        }
        let sum = sum.with(&self.payload).finish();
        self.payload[6..8].copy_from_slice(&sum.to_be_bytes());
    }

    fn drops(&mut self) -> Discard {
        match self.check() {
            Verdict::Dropped(discard) => discard,
            other => panic!("not dropped: {other:?}"),
        }
    }

    fn notes(&mut self) -> Vec<Remark> {
        match self.check() {
            Verdict::AcceptedWithNote(_, remarks) => remarks,
            other => panic!("no note: {other:?}"),
        }
    }

    fn accepts(&mut self) -> Advert {
        match self.check() {
            Verdict::Accepted(advert) => advert,
            other => panic!("not accepted: {other:?}"),
        }
    }
}

fn unicast(min_ttl: Option<u8>, max_ttl: Option<u8>) -> Transport {
    Transport::Unicast { source: None, peers: vec![Peer { address: address(PEER), min_ttl, max_ttl }], ttl: None }
}

fn v3(settings: &mut Settings) {
    settings.version = Version::V3;
}

#[test]
fn a_right_advert_counts() {
    let mut wire = Wire::new(|_| {});
    let advert = wire.accepts();
    assert_eq!(advert, Advert { source: address(PEER), priority: 100, interval: CentiSecs::SECOND });
    assert_eq!(wire.stats, Stats { adverts_received: 1, ..Stats::default() });
}

#[test]
fn any_other_length_than_the_counts_is_dropped() {
    for length in (0..20).chain([21, 24]) {
        let mut wire = Wire::new(|_| {});
        wire.payload.resize(length, 0);
        assert!(matches!(wire.drops(), Discard::Length { .. }), "{length} bytes");
        assert_eq!(wire.stats.length_errors, 1);
    }
}

#[test]
fn ethernet_padding_is_no_part_of_the_advert() {
    let mut wire = Wire::new(v3);
    let mut header = vec![0x45; 20];
    header[2..4].copy_from_slice(&32_u16.to_be_bytes());
    wire.ip_header = Some(header);
    wire.payload.resize(26, 0);
    wire.accepts();
}

#[test]
fn a_total_length_beyond_what_came_is_dropped() {
    let mut wire = Wire::new(|_| {});
    let mut header = vec![0x45; 20];
    header[2..4].copy_from_slice(&60_u16.to_be_bytes());
    wire.ip_header = Some(header);
    assert_eq!(wire.drops(), Discard::TotalLength { claimed: 60, got: 40 });
}

#[test]
fn multicast_that_passed_a_router_is_dropped() {
    for ttl in [Some(254), Some(0), None] {
        let mut wire = Wire::new(|_| {});
        wire.ttl = ttl;
        assert_eq!(wire.drops(), Discard::Ttl { got: ttl });
        assert_eq!(wire.stats.ttl_errors, 1);
    }
}

#[test]
fn unicast_is_held_to_its_peers_range_only() {
    for (range, ttl, good) in
        [((None, None), 3, true), ((Some(250), None), 251, true), ((Some(250), None), 249, false), ((None, Some(9)), 10, false)]
    {
        let mut wire = Wire::new(|settings| settings.transport = unicast(range.0, range.1));
        wire.ttl = Some(ttl);
        assert_eq!(matches!(wire.check(), Verdict::Accepted(_)), good, "{range:?} {ttl}");
    }
}

#[test]
fn another_version_is_dropped_before_its_authentication_is_looked_at() {
    let mut wire = Wire::new(|settings| settings.auth = Some(Auth::Password(*b"1111\0\0\0\0")));
    wire.payload = Wire::new(v3).payload;
    assert_eq!(wire.drops(), Discard::Version { got: 3, expected: 2 });
    assert_eq!(wire.stats.version_errors, 1);
}

#[test]
fn authentication_must_be_known_ours_and_right() {
    let password = |settings: &mut Settings| settings.auth = Some(Auth::Password(*b"1111\0\0\0\0"));
    let mut wire = Wire::new(password);
    wire.accepts();
    wire.forge(12, b"1112");
    assert_eq!(wire.drops(), Discard::Password);
    wire.forge(4, &[0]);
    assert_eq!(wire.drops(), Discard::AuthType { got: 0, expected: 1 });
    wire.forge(4, &[3]);
    assert_eq!(wire.drops(), Discard::AuthTypeUnknown(3));
    assert_eq!((wire.stats.auth_failures, wire.stats.auth_type_mismatch, wire.stats.invalid_auth_type), (1, 1, 1));
    let mut open = Wire::new(|_| {});
    open.payload = Wire::new(password).payload;
    assert_eq!(open.drops(), Discard::AuthType { got: 1, expected: 0 });
}

#[test]
fn version_2_demands_our_interval() {
    let mut wire = Wire::new(|_| {});
    wire.forge(5, &[2]);
    assert_eq!(wire.drops(), Discard::Interval { got: 2, expected: 1, unit: "sec" });
    assert_eq!(wire.stats.interval_errors, 1);
}

#[test]
fn version_3_takes_any_interval_but_zero_and_a_master_remarks_on_it() {
    let mut wire = Wire::new(v3);
    wire.forge(4, &[0xf0, 50]);
    assert_eq!(wire.accepts().interval, CentiSecs::new(50).unwrap());
    wire.context.state = State::Master;
    assert_eq!(wire.notes(), [Remark::Interval { got: 50, expected: 100 }]);
    wire.forge(4, &[0, 0]);
    assert!(matches!(wire.drops(), Discard::Interval { got: 0, .. }));
}

#[test]
fn only_advertisements_count() {
    let mut wire = Wire::new(|_| {});
    wire.forge(0, &[0x22]);
    assert_eq!(wire.drops(), Discard::Type(2));
    assert_eq!(wire.stats.invalid_type, 1);
}

#[test]
fn a_wrong_checksum_is_dropped_unless_forgiven() {
    for bend in [(|_| {}) as fn(&mut Settings), v3] {
        let mut wire = Wire::new(bend);
        wire.payload[6] ^= 1;
        assert!(matches!(wire.drops(), Discard::Checksum { .. }));
    }
    let mut wire = Wire::new(|settings| (settings.version, settings.v3_checksum_as_v2) = (Version::V3, true));
    wire.payload[6] ^= 1;
    assert_eq!(wire.notes(), [Remark::Checksum]);
}

#[test]
fn a_version_3_checksum_covers_where_the_advert_went() {
    let mut wire = Wire::new(v3);
    wire.destination = address("224.0.0.19");
    assert!(matches!(wire.drops(), Discard::Checksum { .. }));
}

#[test]
fn unicast_to_a_multicast_instance_and_the_reverse_are_dropped() {
    let mut wire = Wire::new(|_| {});
    wire.destination = address("192.0.2.9");
    assert_eq!(wire.drops(), Discard::Destination { multicast: false });
    let mut wire = Wire::new(|settings| settings.transport = unicast(None, None));
    wire.destination = address(GROUP);
    assert_eq!(wire.drops(), Discard::Destination { multicast: true });
}

#[test]
fn an_owner_that_ignores_adverts_does() {
    let mut wire = Wire::new(|settings| (settings.owner_ignore_adverts, settings.priority) = (true, Priority::OWNER));
    assert_eq!(wire.drops(), Discard::OwnerIgnores);
}

#[test]
fn another_address_list_is_remarked_counted_and_not_dropped() {
    let mut wire = Wire::new(|_| {});
    wire.settings.addresses = vec![testing::virtual_address("10.0.0.2")];
    let vrid = Vrid::new(51).unwrap();
    assert_eq!(wire.notes(), [Remark::AddressMissing { vrid, address: address("10.0.0.2") }]);
    wire.settings.addresses.push(testing::virtual_address("10.0.0.1"));
    assert_eq!(wire.notes(), [Remark::AddressCount { got: 1, expected: 2 }]);
    assert_eq!((wire.stats.address_list_errors, wire.stats.adverts_received), (2, 2));
}

#[test]
fn the_order_of_the_addresses_does_not_matter() {
    let list = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(testing::virtual_address);
    let mut wire = Wire::new(|settings| settings.addresses = list.to_vec());
    wire.settings.addresses.reverse();
    wire.accepts();
}

#[test]
fn skip_check_adv_addr_trusts_the_current_master_only() {
    let mut wire = Wire::new(|settings| settings.skip_check_adv_addr = true);
    wire.settings.addresses = vec![testing::virtual_address("10.0.0.2")];
    assert_eq!(wire.notes().len(), 1);
    wire.context.master = Some(address(PEER));
    wire.accepts();
    wire.context.state = State::Master;
    assert_eq!(wire.notes().len(), 1);
}

#[test]
fn check_unicast_src_demands_a_peer() {
    for (check, peer, good) in [(true, PEER, true), (true, "192.0.2.7", false), (false, "192.0.2.7", true)] {
        let mut wire = Wire::new(|settings| {
            settings.check_unicast_src = check;
            settings.transport =
                Transport::Unicast { source: None, peers: vec![Peer { address: address(peer), min_ttl: None, max_ttl: None }], ttl: None };
        });
        assert_eq!(matches!(wire.check(), Verdict::Accepted(_)), good, "{check} {peer}");
    }
}

#[test]
fn priority_zero_is_counted() {
    let mut wire = Wire::new(|_| {});
    wire.forge(2, &[0]);
    assert_eq!(wire.accepts().priority, 0);
    assert_eq!((wire.stats.adverts_received, wire.stats.priority_zero_received), (1, 1));
}

/// The IPv4 header that the kernel would have put before `payload`.
fn ip_header(payload: usize) -> Vec<u8> {
    let mut header = vec![0x45, 0xc0, 0, 20 + u8::try_from(payload).unwrap(), 0, 1, 0x40, 0, 255, 51, 0x12, 0x34];
    header.extend([192, 0, 2, 1, 224, 0, 0, 18]);
    header
}

#[test]
fn an_authentication_header_is_there_exactly_when_it_is_configured() {
    let header = |settings: &mut Settings| settings.auth = Some(Auth::Header(*b"secret\0\0"));
    let mut wire = Wire::new(header);
    wire.ip_header = Some(ip_header(wire.payload.len()));
    wire.accepts();
    let mut plain = Wire::new(|_| {});
    (plain.payload, plain.protocol) = (wire.payload.clone(), wire.protocol);
    assert_eq!(plain.drops(), Discard::HeaderUnexpected);
    (wire.payload, wire.protocol) = (Wire::new(|_| {}).payload, VRRP_PROTOCOL);
    assert_eq!(wire.drops(), Discard::HeaderMissing);
}

#[test]
fn a_wrong_digest_and_a_used_number_are_dropped() {
    let mut wire = Wire::new(|settings| settings.auth = Some(Auth::Header(*b"secret\0\0")));
    wire.ip_header = Some(ip_header(wire.payload.len()));
    wire.context.sequence = 1;
    assert_eq!(wire.drops(), Discard::Replayed { got: 1, highest: 1 });
    wire.settings.auth = Some(Auth::Header(*b"another\0"));
    assert_eq!(wire.drops(), Discard::Digest);
}

/// As keepalived 2.2.7 sent it: `auth_type AH`, `auth_pass 1111`, from the IPv4 header on.
const FROM_KEEPALIVED: [u8; 64] = [
    0x45, 0xc0, 0x00, 0x40, 0x00, 0x01, 0x00, 0x00, 0xff, 0x33, 0x18, 0xb6, 0xc0, 0x00, 0x02, 0x01, 0xe0, 0x00, 0x00, 0x12, 0x70, 0x04,
    0x00, 0x00, 0xc0, 0x00, 0x02, 0x01, 0x00, 0x00, 0x00, 0x01, 0x54, 0x8a, 0xee, 0x1a, 0xd8, 0xfa, 0xb9, 0x0c, 0x58, 0x50, 0x30, 0x3c,
    0x21, 0x33, 0x64, 0x01, 0x02, 0x01, 0x6e, 0xc9, 0x0a, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

#[test]
fn an_authentication_header_of_keepalived_is_right_for_us() {
    let mut wire = Wire::new(|settings| settings.auth = Some(Auth::Header(*b"1111\0\0\0\0")));
    wire.ip_header = Some(FROM_KEEPALIVED[..20].to_vec());
    wire.payload = FROM_KEEPALIVED[20..].to_vec();
    assert_eq!(wire.accepts().priority, 100);
}
