//! `use_vmac`, `use_vmac_addr`, `vmac_xmit_base`: which VMACs an instance needs, and what they are called.

use super::finish::warn;
use super::instance::Draft;
use super::{Line, Reader};
use crate::syntax::{Complaint, Span, Word};
use crate::types::{Family, MacAddr, Vrid};
use crate::vrrp::settings::VirtualAddress;
use crate::vrrp::vmac::{self, NAME_BYTES, Vmac};
use std::collections::HashMap;

/// What `use_vmac` says.
#[derive(Clone, Default)]
pub(crate) struct VmacDraft {
    pub(super) name: Option<(String, Span)>,
    mac: Option<Written>,
}

/// An Ethernet address as it was written: with five octets the virtual router id is the sixth.
#[derive(Clone, Copy)]
enum Written {
    Whole(MacAddr),
    Octets([u8; 5]),
}

/// VMACs of all instances so far, by name.
#[derive(Default)]
pub(crate) struct Names {
    /// Whose names are written, wherever in the file: nobody is given one of these.
    written: HashMap<String, String>,
    taken: HashMap<String, (String, MacAddr)>,
}

const LEFT_OUT: &str = "the word is left out";

pub(crate) fn use_vmac(reader: &mut Reader, line: &Line<'_>) {
    let mut draft = reader.instance().vmac.take().unwrap_or_default();
    let mut words = line.args.iter().peekable();
    while let Some(word) = words.next() {
        match &*word.text {
            // the word before a name that could be taken for something else
            "name" if draft.name.is_none() && words.peek().is_some_and(|next| !next.contains(':')) => {}
            "netlink_notify_msg" => not_acted_on(reader, word),
            "group" if draft.name.is_some() => {
                not_acted_on(reader, word);
                words.next();
            }
            text if text.contains(':') => draft.mac = mac(reader, word).or(draft.mac),
            _ if draft.name.is_some() => {
                reader.complain(Complaint::error(word.span, "VMAC interface name already specified").help(LEFT_OUT.to_owned()));
            }
            text if !is_name(text) => {
                let message = format!("VMAC interface name '{text}' too long or invalid characters - ignoring");
                reader.complain(Complaint::error(word.span, message).expected(format!("a name of at most {NAME_BYTES} bytes")));
            }
            text => draft.name = Some((text.to_owned(), word.span)),
        }
    }
    reader.instance().vmac = Some(draft);
}

fn not_acted_on(reader: &mut Reader, word: &Word<'_>) {
    let message = format!("'{}' of use_vmac is known, but not acted on yet", &**word);
    reader.complain(Complaint::remark(word.span, message).rule("not-acted-on"));
}

/// What the kernel takes for the name of an interface.
fn is_name(text: &str) -> bool {
    let odd = |byte: u8| byte == b'/' || byte == b':' || byte.is_ascii_whitespace();
    !text.is_empty() && text.len() <= NAME_BYTES && text != "." && text != ".." && !text.bytes().any(odd)
}

fn mac(reader: &mut Reader, word: &Word<'_>) -> Option<Written> {
    let text = &*word.text;
    let octets: Option<Vec<u8>> = text.split(':').map(|octet| u8::from_str_radix(octet, 16).ok().filter(|_| octet.len() <= 2)).collect();
    let octets = octets.unwrap_or_default();
    let written = match *octets {
        [a, b, c, d, e, f] => Written::Whole(MacAddr([a, b, c, d, e, f])),
        [a, b, c, d, e] => Written::Octets([a, b, c, d, e]),
        _ => {
            let complaint = Complaint::error(word.span, format!("VMAC invalid MAC address {text} - ignored"));
            reader.complain(complaint.expected("six octets in hexadecimal, or five and the virtual router id is the sixth"));
            return None;
        }
    };
    let problem = if octets.first().is_some_and(|first| first & 1 != 0) {
        format!("VMAC MAC address is multicast {text} - ignoring")
    } else if octets.starts_with(&[0, 0, 0x5e, 0, 1]) || octets.starts_with(&[0, 0, 0x5e, 0, 2]) {
        format!("VMAC MAC address not allowed to be RFC5798 address ({text}) - ignoring")
    } else {
        return Some(written);
    };
    reader.complain(Complaint::error(word.span, problem).help("without an address the RFC's is used".to_owned()));
    None
}

pub(crate) fn use_vmac_addr(reader: &mut Reader, _: &Line<'_>) {
    reader.instance().vmac_addr = true;
}

pub(crate) fn vmac_xmit_base(reader: &mut Reader, line: &Line<'_>) {
    reader.instance().xmit_base = Some(line.word.span);
}

pub(crate) fn vmac_prefix(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.vmac_prefix = line.arg(0).map(ToString::to_string);
}

pub(crate) fn vmac_addr_prefix(reader: &mut Reader, line: &Line<'_>) {
    reader.defaults.vmac_addr_prefix = line.arg(0).map(ToString::to_string);
}

/// Before any name is made up: whose are written.
pub(super) fn reserve(reader: &mut Reader, drafts: &mut [Draft]) {
    for draft in drafts {
        let Some(vmac) = draft.vmac.as_mut() else { continue };
        let Some((name, span)) = vmac.name.clone() else { continue };
        if let Some(other) = reader.vmacs.written.get(&name) {
            let message = format!("({}) VRRP instance {other} is already using {name} - ignoring name", draft.name);
            reader.complain(Complaint::error(span, message));
            vmac.name = None;
        } else {
            reader.vmacs.written.insert(name, draft.name.clone());
        }
    }
}

/// What becomes of it all for one instance.
#[derive(Default)]
pub(super) struct Vmacs {
    pub(super) own: Option<Box<Vmac>>,
    pub(super) xmit_base: bool,
    pub(super) of_addresses: Vec<Vmac>,
}

pub(super) fn of(reader: &mut Reader, draft: &mut Draft, vrid: Vrid, family: Family, is_strict: bool) -> Vmacs {
    let Some(base) = draft.interface.clone() else {
        if let Some(span) = draft.vmac.take().and(draft.unicast) {
            let message = format!("({}): Cannot use VMAC/ipvlan with unicast and no interface - clearing use_vmac", draft.name);
            reader.complain(Complaint::error(span, message));
        }
        return Vmacs::default();
    };
    let xmit_base = xmit_base(reader, draft, is_strict);
    let own = own(reader, draft, &base, vrid, family, is_strict, xmit_base);
    let of_addresses = of_addresses(reader, draft, &base, vrid, family);
    Vmacs { own: own.map(Box::new), xmit_base, of_addresses }
}

fn xmit_base(reader: &mut Reader, draft: &Draft, is_strict: bool) -> bool {
    let unicast = !draft.peers.is_empty() || draft.fault_no_peer;
    match (draft.xmit_base, &draft.vmac) {
        (Some(span), None) => {
            let message = format!("({}) vmac_xmit_base is only valid with a vmac", draft.name);
            reader.complain(Complaint::warning(span, message));
            false
        }
        (Some(span), Some(_)) if is_strict => {
            let message = format!("({}) xmit_base is incompatible with strict mode - resetting", draft.name);
            reader.complain(Complaint::warning(span, message));
            false
        }
        (Some(_), Some(_)) => true,
        (None, Some(_)) if unicast => {
            let span = draft.unicast.unwrap_or(draft.span);
            let message = format!("({}) unicast with use_vmac requires vmac_xmit_base - setting", draft.name);
            reader.complain(Complaint::warning(span, message).help("write 'vmac_xmit_base' into the instance".to_owned()));
            true
        }
        (None, _) => false,
    }
}

fn own(reader: &mut Reader, draft: &Draft, base: &str, vrid: Vrid, family: Family, is_strict: bool, xmit_base: bool) -> Option<Vmac> {
    let said = draft.vmac.as_ref()?;
    let mac = match said.mac {
        Some(_) if is_strict => {
            warn(reader, draft, "cannot specify MAC address with strict mode - clearing");
            vmac::virtual_mac(vrid, family)
        }
        Some(Written::Whole(mac)) => mac,
        Some(Written::Octets([a, b, c, d, e])) => MacAddr([a, b, c, d, e, vrid.get()]),
        None => vmac::virtual_mac(vrid, family),
    };
    let prefix = reader.defaults.vmac_prefix.clone();
    let written = said.name.as_ref().map(|(name, _)| name.clone());
    let name = name(&mut reader.vmacs, written, prefix.as_deref(), base, mac, vrid, family);
    // An IPv4 VMAC needs IPv6 only for addresses of its instance that are of the other family.
    let ipv6 = family == Family::V6 || draft.excluded.iter().any(|address| address.prefix.family() == Family::V6);
    Some(Vmac { name, base: base.to_owned(), mac, family, ipv6, link_local: family == Family::V6 && !xmit_base })
}

/// The name of the VMAC with this Ethernet address on this interface; whoever needs the same VMAC shares it, for the kernel
/// has no two of them.
fn name(names: &mut Names, written: Option<String>, prefix: Option<&str>, base: &str, mac: MacAddr, vrid: Vrid, family: Family) -> String {
    let same = || names.taken.iter().find(|(_, (on, taken))| on == base && *taken == mac).map(|(name, _)| name.clone());
    let free = |name: &String| !names.taken.contains_key(name) && !names.written.contains_key(name);
    let name = written.or_else(same).or_else(|| vmac::names(prefix.unwrap_or("vrrp"), vrid, family).find(free)).unwrap_or_default();
    names.taken.insert(name.clone(), (base.to_owned(), mac));
    name
}

/// VMACs for addresses that are not on the instance's own: on another interface, or of the other family.
fn of_addresses(reader: &mut Reader, draft: &mut Draft, base: &str, vrid: Vrid, family: Family) -> Vec<Vmac> {
    let mut made: Vec<Vmac> = Vec::new();
    let mut redundant = Vec::new();
    let (all, has_own, name_of_instance) = (draft.vmac_addr, draft.vmac.is_some(), draft.name.clone());
    for address in draft.addresses.iter_mut().chain(&mut draft.excluded) {
        let asked = address.vmac.is_some();
        let elsewhere = is_elsewhere(address, base, family);
        address.vmac = None;
        if asked && has_own && !elsewhere {
            redundant.push(address.prefix.address());
        }
        if !(asked || all && elsewhere) || has_own && !elsewhere {
            continue;
        }
        let family = address.prefix.family();
        let (on, mac) = (address.device.as_deref().unwrap_or(base).to_owned(), vmac::virtual_mac(vrid, family));
        let defaults = &reader.defaults;
        let prefix = defaults.vmac_addr_prefix.clone().or_else(|| defaults.vmac_prefix.clone());
        let name = name(&mut reader.vmacs, None, prefix.as_deref(), &on, mac, vrid, family);
        address.vmac = Some(name.clone());
        if !made.iter().any(|vmac| vmac.name == name) {
            let v6 = family == Family::V6;
            made.push(Vmac { name, base: on, mac, family, ipv6: v6, link_local: v6 });
        }
    }
    for address in redundant {
        let message = format!("({name_of_instance}) use_vmac specified for VIP/eVIP {address} and vrrp instance");
        reader.complain(Complaint::warning(draft.span, message));
    }
    made
}

/// Whether an address has no place on the VMAC of an instance on this interface.
fn is_elsewhere(address: &VirtualAddress, base: &str, family: Family) -> bool {
    address.prefix.family() != family || address.device.as_deref().is_some_and(|device| device != base)
}

/// `use_vmac` behind a static address: the original does not know it there.
pub(super) fn refuse_static(reader: &mut Reader, address: &mut VirtualAddress, word: Span) {
    if address.vmac.take().is_some() {
        let message = "Unknown configuration entry 'use_vmac' for ip address - ignoring";
        reader.complain(Complaint::error(word, message).help("a static address belongs to no virtual router".to_owned()));
    }
}

impl Reader {
    /// Some instance makes an interface of this name.
    pub(crate) fn makes_interface(&self, name: &str) -> bool {
        self.vmacs.taken.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load_text;
    use crate::vrrp::settings::Settings;
    use crate::vrrp::vmac::Vmac;
    use std::sync::Arc;

    fn block(name: &str, vrid: u8, lines: &str) -> String {
        format!(
            "vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {vrid}\nvirtual_ipaddress {{\n10.0.0.{vrid}/24\n}}\n{lines}\n}}\n"
        )
    }

    fn read(text: &str) -> (Vec<Arc<Settings>>, Vec<String>) {
        let loaded = load_text(text);
        (loaded.config.instances, loaded.report.diagnostics().iter().map(|found| found.one_line()).collect())
    }

    fn own(settings: &Settings) -> (String, String) {
        settings.vmac.as_ref().map(|vmac| (vmac.name.clone(), vmac.mac.to_string())).unwrap_or_default()
    }

    #[test]
    fn a_vmac_is_named_and_numbered_after_its_virtual_router() {
        let (instances, complaints) = read(&block("A", 51, "use_vmac"));
        assert_eq!(complaints, [""; 0]);
        assert_eq!(own(&instances[0]), ("vrrp.51".to_owned(), "00:00:5e:00:01:33".to_owned()));
        assert_eq!((instances[0].home(), instances[0].wire()), (Some("vrrp.51"), Some("vrrp.51")));
        for (line, name, mac) in [
            ("use_vmac own", "own", "00:00:5e:00:01:33"),
            ("use_vmac name own", "own", "00:00:5e:00:01:33"),
            ("use_vmac 02:01:02:03:04:05", "vrrp.51", "02:01:02:03:04:05"),
            ("use_vmac own 02:1:2:3:4", "own", "02:01:02:03:04:33"),
            ("use_vmac 02:01:02:03:04 own", "own", "02:01:02:03:04:33"),
        ] {
            let (instances, complaints) = read(&block("A", 51, line));
            assert_eq!((own(&instances[0]), complaints.len()), ((name.to_owned(), mac.to_owned()), 0), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_is_said_and_left_out() {
        for (line, said) in [
            ("use_vmac abcdefghijklmnop", "VMAC interface name 'abcdefghijklmnop' too long or invalid characters - ignoring"),
            ("use_vmac a/b", "too long or invalid characters"),
            ("use_vmac 01:02:03:04:05:06", "VMAC MAC address is multicast 01:02:03:04:05:06 - ignoring"),
            ("use_vmac 00:00:5e:00:01:44", "VMAC MAC address not allowed to be RFC5798 address (00:00:5e:00:01:44) - ignoring"),
            ("use_vmac 02:02:03:04", "VMAC invalid MAC address 02:02:03:04 - ignored"),
            ("vmac_xmit_base", "(A) vmac_xmit_base is only valid with a vmac"),
            ("use_vmac\nstrict_mode\nvmac_xmit_base", "(A) xmit_base is incompatible with strict mode - resetting"),
            ("use_vmac\nunicast_peer {\n10.0.0.9\n}", "(A) unicast with use_vmac requires vmac_xmit_base - setting"),
        ] {
            let (instances, complaints) = read(&block("A", 51, line));
            assert!(complaints.len() == 1 && complaints[0].contains(said), "{line}: {complaints:?}");
            assert_eq!(own(&instances[0]).0, if line == "vmac_xmit_base" { "" } else { "vrrp.51" });
        }
        let (instances, complaints) = read(&block("A", 51, "use_vmac one two"));
        assert!(own(&instances[0]).0 == "one" && complaints[0].contains("VMAC interface name already specified"), "{complaints:?}");
    }

    #[test]
    fn nobody_is_given_a_name_that_another_has() {
        let (instances, complaints) =
            read(&(block("A", 51, "use_vmac") + &block("B", 52, "use_vmac vrrp.51") + &block("C", 53, "use_vmac vrrp.51")));
        let names: Vec<String> = instances.iter().map(|settings| own(settings).0).collect();
        assert_eq!(names, ["vrrp1.51", "vrrp.51", "vrrp.53"]);
        assert!(
            complaints.len() == 1 && complaints[0].contains("VRRP instance B is already using vrrp.51 - ignoring name"),
            "{complaints:?}"
        );
        let two = block("A", 51, "use_vmac") + &block("B", 51, "use_vmac").replace("10.0.0.51", "fd00::1").replace("10.0.0", "fd00:");
        let (instances, _) = read(&two);
        assert_eq!(instances.iter().map(|settings| own(settings).0).collect::<Vec<_>>(), ["vrrp.51", "vrrp6.51"]);
        let prefixed = format!("global_defs {{\nvmac_prefix abc\nvmac_addr_prefix def\n}}\n{}", block("A", 51, "use_vmac"));
        assert_eq!(own(&read(&prefixed).0[0]).0, "abc.51");
    }

    #[test]
    fn addresses_go_where_the_original_puts_them() {
        let more = "virtual_ipaddress_excluded {\n10.0.1.1/24 dev eth0\n10.1.0.1/24 dev eth1\n10.2.0.1/24 dev eth1 use_vmac\nfd00::1/64\n}";
        let places = |lines: &str| {
            let (instances, complaints) = read(&block("A", 51, &format!("{lines}\n{more}")));
            assert_eq!(complaints, [""; 0]);
            let settings = &instances[0];
            let all = settings.addresses.iter().chain(&settings.excluded);
            let vmacs: Vec<&Vmac> = settings.vmacs().collect();
            (all.map(|address| settings.place(address).unwrap().to_owned()).collect::<Vec<_>>(), vmacs.len())
        };
        assert_eq!(places(""), (["eth0", "eth0", "eth1", "vrrp.51", "eth0"].map(str::to_owned).to_vec(), 1));
        assert_eq!(places("use_vmac"), (["vrrp.51", "vrrp.51", "eth1", "vrrp1.51", "eth0"].map(str::to_owned).to_vec(), 2));
        let all = ["vrrp.51", "vrrp.51", "vrrp1.51", "vrrp1.51", "vrrp6.51"].map(str::to_owned).to_vec();
        assert_eq!(places("use_vmac\nuse_vmac_addr"), (all, 3));
    }

    #[test]
    fn extra_announcements_are_for_other_vmacs_or_for_all_other_interfaces() {
        let more =
            "use_vmac\nvirtual_ipaddress_excluded {\n10.1.0.1/24 dev eth1\n10.2.0.1/24 dev eth1 use_vmac\n10.2.0.2/24 dev eth1 use_vmac\n}";
        let elsewhere = |line: &str| {
            let (instances, complaints) = read(&block("A", 51, &format!("{line}\n{more}")));
            assert_eq!(complaints, [""; 0], "{line}");
            let settings = &instances[0];
            (
                settings.announce.extra_if.as_secs(),
                settings.announced_elsewhere().map(|address| settings.place(address).unwrap().to_owned()).collect::<Vec<_>>(),
            )
        };
        assert_eq!(elsewhere("garp_extra_if 10"), (10, vec!["vrrp1.51".to_owned()]));
        assert_eq!(elsewhere("garp_extra_if all 10"), (10, vec!["eth1".to_owned(), "vrrp1.51".to_owned()]));
        assert_eq!(elsewhere("").0, 0);
    }
}
