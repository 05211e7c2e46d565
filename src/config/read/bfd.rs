//! `bfd_instance` blocks.

use super::watched::{self, Watched};
use super::{Line, Reader};
use crate::bfd::settings::{IDLE, LONGEST_NAME, Settings};
use crate::config::number;
use crate::syntax::{Complaint, Span};
use crate::types::Family;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// One block as far as it has been read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    name: String,
    span: Span,
    neighbour: Neighbour,
    source: Option<IpAddr>,
    min_rx: Option<Duration>,
    min_tx: Option<Duration>,
    idle_tx: Option<Duration>,
    multiplier: Option<u8>,
    passive: bool,
    ttl: Option<u8>,
    max_hops: Option<i16>,
    multihop: bool,
    weight: watched::Weight,
    vrrp: bool,
    checker: bool,
}

/// `neighbor_ip`.
#[derive(Clone, Copy, Debug, Default)]
enum Neighbour {
    #[default]
    Missing,
    /// What is written is no address: said already.
    Malformed,
    At(IpAddr),
}

/// The sessions of a configuration, and the block being read.
#[derive(Default)]
pub(crate) struct Drafts {
    sessions: Vec<Draft>,
    current: Draft,
    /// Names that checkers may use, once all is read.
    for_checkers: Vec<String>,
}

impl Drafts {
    /// Whether checkers hear of a session of that name.
    pub(super) fn tells_checkers(&self, name: &str) -> bool {
        self.for_checkers.iter().any(|known| known == name)
    }

    /// The names that they may use.
    pub(super) fn names_for_checkers(&self) -> impl Iterator<Item = &str> {
        self.for_checkers.iter().map(String::as_str)
    }
}

const BLOCK: &str = "the block is left out";
const DEFAULT: &str = "the default is used";
const ADDRESS: &str = "an IPv4 or IPv6 address";

pub(crate) fn block(reader: &mut Reader, line: &Line<'_>) {
    let Some(word) = line.arg(0) else {
        let complaint = Complaint::error(line.span(), "bfd_instance must have a name").expected("'bfd_instance NAME { … }'");
        reader.complain(complaint.help(BLOCK.to_owned()));
        return;
    };
    let problem = if word.len() > LONGEST_NAME {
        Some(format!("BFD instance {} name too long (maximum length is {LONGEST_NAME} characters) - ignoring", &**word))
    } else if reader.bfd.sessions.iter().any(|other| other.name == *word.text) {
        Some(format!("BFD instance {} already configured - ignoring", &**word))
    } else {
        None
    };
    if let Some(problem) = problem {
        reader.complain(Complaint::error(word.span, problem).help(BLOCK.to_owned()));
        return;
    }
    reader.bfd.current = Draft { name: word.to_string(), span: word.span, ..Draft::default() };
    reader.walk(&line.children);
    let done = std::mem::take(&mut reader.bfd.current);
    reader.bfd.sessions.push(done);
}

fn address(reader: &mut Reader, line: &Line<'_>, which: &str, instead: &str) -> Option<IpAddr> {
    let word = line.arg(0)?;
    let address = word.parse().ok();
    if address.is_none() {
        let message = format!("BFD instance {} has malformed {which} address {}", reader.bfd.current.name, &**word);
        reader.complain(Complaint::error(word.span, message).expected(ADDRESS).help(instead.to_owned()));
    }
    address
}

pub(crate) fn neighbour(reader: &mut Reader, line: &Line<'_>) {
    reader.bfd.current.neighbour = address(reader, line, "neighbor", BLOCK).map_or(Neighbour::Malformed, Neighbour::At);
}

pub(crate) fn source(reader: &mut Reader, line: &Line<'_>) {
    reader.bfd.current.source = address(reader, line, "source", "the routing table chooses it");
}

/// Milliseconds, in microseconds: as far as the wire can say.
const INTERVAL: RangeInclusive<u64> = 1_000..=4_294_967_000;
const IDLE_INTERVAL: RangeInclusive<u64> = 1_000_000..=4_294_967_000;

pub(crate) fn min_rx(reader: &mut Reader, line: &Line<'_>) {
    reader.bfd.current.min_rx = number::milliseconds(reader, line, &INTERVAL, DEFAULT).or(reader.bfd.current.min_rx);
}

pub(crate) fn min_tx(reader: &mut Reader, line: &Line<'_>) {
    reader.bfd.current.min_tx = number::milliseconds(reader, line, &INTERVAL, DEFAULT).or(reader.bfd.current.min_tx);
}

pub(crate) fn idle_tx(reader: &mut Reader, line: &Line<'_>) {
    reader.bfd.current.idle_tx = number::milliseconds(reader, line, &IDLE_INTERVAL, DEFAULT).or(reader.bfd.current.idle_tx);
}

pub(crate) fn multiplier(reader: &mut Reader, line: &Line<'_>) {
    reader.bfd.current.multiplier = number::byte(reader, line, 0, 1..=255, DEFAULT).or(reader.bfd.current.multiplier);
}

pub(crate) fn passive(reader: &mut Reader, _: &Line<'_>) {
    reader.bfd.current.passive = true;
}

pub(crate) fn ttl(reader: &mut Reader, line: &Line<'_>) {
    reader.bfd.current.ttl = number::byte(reader, line, 0, 1..=255, DEFAULT).or(reader.bfd.current.ttl);
}

pub(crate) fn max_hops(reader: &mut Reader, line: &Line<'_>) {
    let hops = number::int(reader, line, 0, -1..=255, DEFAULT).and_then(|hops| i16::try_from(hops).ok());
    reader.bfd.current.max_hops = hops.or(reader.bfd.current.max_hops);
}

pub(crate) fn multihop(reader: &mut Reader, line: &Line<'_>) {
    if let Some(on) = number::switch(reader, line, "the line is left out") {
        reader.bfd.current.multihop = on;
    }
}

pub(crate) fn weight(reader: &mut Reader, line: &Line<'_>) {
    let Some(weight) = number::int(reader, line, 0, -253..=253, "the weight is left out") else { return };
    let reverse = line.arg(1).map(|word| &*word.text == "reverse");
    if let Some(word) = line.arg(1).filter(|word| &*word.text != "reverse") {
        let message = format!("BFD instance {} unknown weight option {}", reader.bfd.current.name, &**word);
        reader.complain(Complaint::error(word.span, message).expected("reverse"));
    }
    reader.bfd.current.weight = watched::Weight { weight: i16::try_from(weight).ok(), reverse };
}

pub(crate) fn vrrp(reader: &mut Reader, _: &Line<'_>) {
    reader.bfd.current.vrrp = true;
}

pub(crate) fn checker(reader: &mut Reader, _: &Line<'_>) {
    reader.bfd.current.checker = true;
}

/// The sessions that can run; VRRP and checkers learn which they may use.
pub(super) fn settle(reader: &mut Reader) -> Vec<Arc<Settings>> {
    let mut sessions: Vec<Arc<Settings>> = Vec::new();
    for draft in std::mem::take(&mut reader.bfd.sessions) {
        let Some(settings) = session(reader, &draft, &sessions) else { continue };
        if settings.tells_vrrp {
            reader.watched.bfds.push(Watched { name: draft.name, span: draft.span, weight: draft.weight, ..Watched::default() });
        }
        if settings.tells_checkers {
            reader.bfd.for_checkers.push(settings.name.clone());
        }
        sessions.push(Arc::new(settings));
    }
    sessions
}

fn session(reader: &mut Reader, draft: &Draft, others: &[Arc<Settings>]) -> Option<Settings> {
    let name = &draft.name;
    let mut refuse = |problem: String| {
        reader.complain(Complaint::error(draft.span, problem).help(BLOCK.to_owned()));
        None
    };
    let neighbour = match draft.neighbour {
        Neighbour::At(neighbour) => neighbour,
        Neighbour::Malformed => return None,
        Neighbour::Missing => return refuse(format!("BFD instance {name} has no neighbor address set, disabling instance")),
    };
    if let Some(source) = draft.source.filter(|source| Family::of(source) != Family::of(&neighbour)) {
        let what = format!("source address {source} and neighbor address {neighbour} are not of the same family");
        return refuse(format!("BFD instance {name} {what}, disabling instance"));
    }
    if others.iter().any(|other| other.neighbour == neighbour) {
        return refuse(format!("BFD instance {name} has duplicate neighbor address {neighbour}, ignoring instance"));
    }
    let ttl = draft.ttl.unwrap_or(match Family::of(&neighbour) {
        Family::V4 => 255,
        Family::V6 => 64,
    });
    let everybody = draft.vrrp == draft.checker;
    Some(Settings {
        name: name.clone(),
        neighbour,
        source: draft.source,
        min_rx: draft.min_rx.unwrap_or(Duration::from_millis(10)),
        min_tx: draft.min_tx.unwrap_or(Duration::from_millis(10)),
        idle_tx: draft.idle_tx.unwrap_or(IDLE),
        multiplier: draft.multiplier.unwrap_or(5),
        passive: draft.passive,
        ttl,
        max_hops: hops(reader, draft, ttl),
        multihop: draft.multihop,
        tells_vrrp: everybody || draft.vrrp,
        tells_checkers: everybody || draft.checker,
    })
}

/// `max_hops`: -1 and 255 look at nothing, and more than a packet has nobody can lose.
fn hops(reader: &mut Reader, draft: &Draft, ttl: u8) -> Option<u8> {
    let hops = match draft.max_hops.map(u8::try_from) {
        None => 0,
        Some(Err(_) | Ok(u8::MAX)) => return None,
        Some(Ok(hops)) => hops,
    };
    if hops > ttl {
        let message = format!("BFD instance {}: max_hops exceeds ttl/hoplimit - setting to ttl/hoplimit", draft.name);
        reader.complain(Complaint::warning(draft.span, message));
    }
    Some(hops.min(ttl))
}

#[cfg(test)]
mod tests {
    use crate::config::load::{Loaded, load_text};
    use std::time::Duration;

    fn load(lines: &str) -> Loaded {
        load_text(&format!("bfd_instance p {{\n{lines}\n}}\n"))
    }

    fn complaints(loaded: &Loaded) -> String {
        loaded.report.diagnostics().iter().map(|found| found.render()).collect()
    }

    #[test]
    fn what_is_not_written_is_as_the_manual_says() {
        let loaded = load("neighbor_ip 10.0.0.2");
        assert_eq!(complaints(&loaded), "");
        let [session] = loaded.config.bfd.as_slice() else { panic!("one session") };
        let ms = Duration::from_millis;
        assert_eq!((session.min_rx, session.min_tx, session.idle_tx, session.multiplier), (ms(10), ms(10), ms(1000), 5));
        assert_eq!((session.ttl, session.max_hops, session.port()), (255, Some(0), 3784));
        assert!(session.tells_vrrp && session.tells_checkers && !session.passive);
        assert_eq!(load("neighbour_ip fd00::2").config.bfd[0].ttl, 64);
    }

    #[test]
    fn milliseconds_have_microseconds() {
        let session = &load("neighbor_ip 10.0.0.2\nmin_rx 3.312\nmin_tx 4294967\nidle_tx 20000\nmax_hops -1\nmultihop").config.bfd[0];
        assert_eq!((session.min_rx, session.min_tx.as_secs()), (Duration::from_micros(3312), 4294));
        assert_eq!((session.idle_tx.as_secs(), session.max_hops, session.port()), (20, None, 4784));
    }

    #[test]
    fn a_value_that_is_bad_is_said_and_left_out() {
        for (line, said) in [
            ("min_rx 0", "outside range"),
            ("min_rx 0.5", "outside range"),
            ("min_tx 4294968", "outside range"),
            ("idle_tx 900", "outside range"),
            ("multiplier 0", "outside range"),
            ("ttl 256", "outside range"),
            ("max_hops -2", "outside range"),
            ("weight 254", "outside range"),
            ("weight 20 foo", "unknown weight option foo"),
            ("min_rx x", "invalid number 'x'"),
            ("source_ip 10.0.0.300", "malformed source address"),
        ] {
            let loaded = load(&format!("neighbor_ip 10.0.0.2\n{line}"));
            assert!(complaints(&loaded).contains(said), "{line}: {}", complaints(&loaded));
            let [session] = loaded.config.bfd.as_slice() else { panic!("{line}: one session") };
            assert_eq!(session, &load("neighbor_ip 10.0.0.2").config.bfd[0], "{line}");
        }
    }

    #[test]
    fn a_session_that_cannot_be_is_left_out() {
        for (lines, said) in [
            ("source_ip 10.0.0.1", "no neighbor address set"),
            ("neighbor_ip 10.0.0.300", "malformed neighbor address 10.0.0.300"),
            ("neighbor_ip 10.0.0.2\nsource_ip fd00::1", "not of the same family"),
            ("neighbor_ip 10.0.0.2\n}\nbfd_instance p {\nneighbor_ip 10.0.0.3", "already configured"),
            ("neighbor_ip 10.0.0.2\n}\nbfd_instance q {\nneighbor_ip 10.0.0.2", "duplicate neighbor address"),
            ("neighbor_ip 10.0.0.2\n}\nbfd_instance aaaaaaaaaabbbbbbbbbbccccccccccdd {\nneighbor_ip 10.0.0.3", "name too long"),
        ] {
            let loaded = load(lines);
            assert!(complaints(&loaded).contains(said), "{lines}: {}", complaints(&loaded));
            assert!(loaded.config.bfd.len() <= 1);
        }
    }

    #[test]
    fn hops_beyond_the_ttl_are_the_ttl() {
        let loaded = load("neighbor_ip 10.0.0.2\nttl 5\nmax_hops 10");
        assert!(complaints(&loaded).contains("max_hops exceeds ttl/hoplimit"));
        assert_eq!(loaded.config.bfd[0].least_ttl(), 0);
    }

    fn tracking(bfd: &str, track: &str) -> Loaded {
        let session = format!("bfd_instance p {{\nneighbor_ip 10.0.0.2\n{bfd}\n}}\n");
        let instance = "vrrp_instance V {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.9\n}\n";
        load_text(&format!("{session}{instance}track_bfd {{\n{track}\n}}\n}}\n"))
    }

    #[test]
    fn an_instance_tracks_a_session_with_its_weight_or_its_own() {
        for (bfd, track, expected) in
            [("", "p", (0, false)), ("weight 20 reverse", "p", (20, true)), ("weight 20 reverse", "p weight -5 noreverse", (-5, false))]
        {
            let loaded = tracking(bfd, track);
            assert_eq!(complaints(&loaded), "", "{track}");
            let [line] = loaded.config.instances[0].track_bfds.as_slice() else { panic!("{track}: one line") };
            assert_eq!((line.weight, line.reverse), expected, "{track}");
        }
    }

    #[test]
    fn a_session_that_is_not_for_vrrp_is_not_found_there() {
        let loaded = tracking("checker", "p");
        assert!(complaints(&loaded).contains("(V) track bfd p not found, ignoring..."), "{}", complaints(&loaded));
        assert!(loaded.config.instances[0].track_bfds.is_empty());
        assert_eq!(complaints(&tracking("checker\nvrrp", "p")), "");
        let loaded = tracking("", "p weight 254");
        assert!(complaints(&loaded).contains("[-253..253]"), "{}", complaints(&loaded));
        assert_eq!(loaded.config.instances[0].track_bfds[0].weight, 0);
    }

    #[test]
    fn a_real_server_follows_a_session_once() {
        let with = |bfd: &str, checks: &str| {
            load_text(&format!(
                "bfd_instance p {{\nneighbor_ip 10.0.0.2\n{bfd}\n}}\nvirtual_server 10.0.0.9 80 {{\nlb_algo rr\nlb_kind DR\nprotocol TCP\nreal_server 10.0.0.2 80 {{\n{checks}\n}}\n}}\n"
            ))
        };
        let loaded = with("", "BFD_CHECK {\nname p\n}");
        assert_eq!(complaints(&loaded), "");
        assert_eq!(loaded.config.lvs.servers[0].real_servers[0].checkers.len(), 1);
        for (bfd, checks, said, left) in [
            ("vrrp", "BFD_CHECK {\nname p\n}", "BFD_CHECK - BFD p not configured", 0),
            ("", "BFD_CHECK {\nname q\n}", "BFD_CHECK - BFD q not configured", 0),
            ("", "BFD_CHECK {\n}", "No name has been specified for BFD_CHECKER", 0),
            ("", "BFD_CHECK {\nname p\n}\nBFD_CHECK {\nname p\n}", "BFD_CHECK - RS already monitoring p", 1),
        ] {
            let loaded = with(bfd, checks);
            assert!(complaints(&loaded).contains(said), "{}", complaints(&loaded));
            assert_eq!(loaded.config.lvs.servers[0].real_servers[0].checkers.len(), left);
        }
    }
}
