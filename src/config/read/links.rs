//! `interface_up_down_delays`, `linkbeat_interfaces`, `linkbeat_use_polling`: how links are looked at.

use super::instance::about;
use super::{Line, Reader};
use crate::config::number::{self, Decimal};
use crate::syntax::Complaint;
use crate::vrrp::settings::Settings;
use crate::vrrp::trackers::link::{LinkDelays, Polled, Way};
use std::sync::Arc;
use std::time::Duration;

const DELAY: Decimal = Decimal { range: 0..=255_000_000, instead: "the line is left out", zero_is_usual: true, unit: true };

/// `INTERFACE DOWN [UP]`, a line each; without UP it is up at once (so does the original, against its manual).
pub(crate) fn delays(reader: &mut Reader, block: &Line<'_>) {
    for line in &block.children {
        reader.uses_interface(&line.word, |_| "interface_up_down_delays".to_owned());
        if line.args.is_empty() {
            let message = format!("{} has no delay", &*line.word);
            let complaint = Complaint::remark(line.word.span, message).expected("'INTERFACE DOWN [UP]'");
            reader.complain(complaint.help("the line is left out".to_owned()));
            continue;
        }
        let Some(down) = number::decimal_at(reader, line, 0, &DELAY) else { continue };
        let up = match line.arg(1) {
            None => Some(Duration::ZERO),
            Some(_) => number::decimal_at(reader, line, 1, &DELAY),
        };
        let Some(up) = up else { continue };
        let delays = &mut reader.global.vrrp.links.delays;
        delays.retain(|other| other.interface != *line.word.text);
        delays.push(LinkDelays { interface: line.word.to_string(), down, up });
    }
}

/// A link that is down longer than its neighbours wait for an advert would have two masters: DOWN ends before they give up.
pub(super) fn limit_delays(reader: &mut Reader, instances: &[Arc<Settings>]) {
    let mut delays = std::mem::take(&mut reader.global.vrrp.links.delays);
    for delays in &mut delays {
        for instance in instances.iter().filter(|instance| instance.interface.as_ref() == Some(&delays.interface)) {
            let interval = instance.advert_interval.duration();
            let missed = u32::from(instance.down_timer_adverts.saturating_sub(1));
            let most = (interval * missed).saturating_sub(interval / 256);
            if delays.down > most || delays.up > most {
                let span = reader.names.get(&instance.name).copied().unwrap_or_default();
                let message = format!(
                    "{}: interface {} debounce timer(s) not less that {missed} * advert_int - resetting",
                    instance.name, delays.interface
                );
                reader.complain(Complaint::warning(span, message));
            }
            (delays.down, delays.up) = (delays.down.min(most), delays.up.min(most));
        }
    }
    reader.global.vrrp.links.delays = delays;
}

/// `INTERFACE [MII|ETHTOOL|IOCTL]`, a line each.
pub(crate) fn polled(reader: &mut Reader, block: &Line<'_>) {
    for line in &block.children {
        reader.uses_interface(&line.word, |_| "linkbeat_interfaces".to_owned());
        let way = line.arg(0).and_then(|word| Way::ALL.into_iter().find(|way| way.word() == &*word.text));
        let unknown = line.args.get(usize::from(way.is_some())).map(|word| (word.to_string(), word.span));
        if let Some((word, span)) = unknown {
            let complaint = Complaint::error(span, format!("extra characters {word} in linkbeat interface"));
            reader.complain(complaint.expected("'INTERFACE [MII|ETHTOOL|IOCTL]'").help("they are left out".to_owned()));
        }
        poll(reader, Polled { interface: line.word.to_string(), way });
    }
}

fn poll(reader: &mut Reader, polled: Polled) {
    let all = &mut reader.global.vrrp.links.polled;
    all.retain(|other| other.interface != polled.interface);
    all.push(polled);
}

pub(crate) fn poll_all(reader: &mut Reader, _: &Line<'_>) {
    reader.global.vrrp.links.poll_all = true;
}

/// In an instance: its own interface.
pub(crate) fn poll_own(reader: &mut Reader, line: &Line<'_>) {
    let message = about(reader, "'linkbeat_use_polling' in vrrp instance deprecated - use linkbeat_interfaces block");
    reader.complain(Complaint::warning(line.span(), message));
    reader.instance().linkbeat_use_polling = true;
}

/// Interfaces of instances that ask for it; what `linkbeat_interfaces` says goes before.
pub(super) fn poll_of_instance(reader: &mut Reader, interface: &str) {
    if !reader.global.vrrp.links.polled.iter().any(|polled| polled.interface == interface) {
        poll(reader, Polled { interface: interface.to_owned(), way: None });
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load_text;
    use crate::vrrp::trackers::link::Way;
    use std::time::Duration;

    fn instance(more: &str) -> String {
        format!("vrrp_instance V {{\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {{\n 10.0.0.1\n }}\n{more}\n}}\n")
    }

    #[test]
    fn delays_end_before_the_neighbours_give_up() {
        let loaded = load_text(&format!("interface_up_down_delays {{\n eth0 9 1\n eth1 1.5\n}}\n{}", instance("")));
        let delays = &loaded.config.global.vrrp.links.delays;
        let seconds: Vec<_> = delays.iter().map(|delays| (delays.down.as_secs_f64(), delays.up.as_secs_f64())).collect();
        assert_eq!(seconds, [(1.99609375, 1.0), (1.5, 0.0)]);
        assert!(loaded.report.diagnostics()[0].render().contains("debounce timer(s) not less that 2 * advert_int - resetting"));
    }

    #[test]
    fn a_delay_out_of_range_is_left_out() {
        let loaded = load_text(&format!("interface_up_down_delays {{\n eth0 300\n eth1 x\n eth2\n eth3 1 2\n}}\n{}", instance("")));
        let delays = &loaded.config.global.vrrp.links.delays;
        assert_eq!(delays.len(), 1);
        assert_eq!((delays[0].down, delays[0].up), (Duration::from_secs(1), Duration::from_secs(2)));
    }

    #[test]
    fn links_are_polled_as_they_are_told() {
        let text = format!("linkbeat_interfaces {{\n eth0 MII\n eth1\n eth2 mii\n}}\n{}", instance(" linkbeat_use_polling"));
        let loaded = load_text(&text);
        let links = &loaded.config.global.vrrp.links;
        assert_eq!((links.polls("eth0"), links.polls("eth1"), links.polls("eth3")), (Some(Some(Way::Mii)), Some(None), None));
        assert_eq!(loaded.report.diagnostics().len(), 2);
        let all = load_text(&format!("linkbeat_use_polling\n{}", instance(""))).config.global.vrrp.links;
        assert_eq!(all.polls("eth3"), Some(None));
        let own = load_text(&instance(" linkbeat_use_polling")).config.global.vrrp.links;
        assert_eq!((own.polls("eth0"), own.polls("eth1")), (Some(None), None));
    }
}
