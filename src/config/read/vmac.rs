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
