//! `garp_group`: interfaces with a rate of gratuitous ARP and neighbour advertisements of their own.

use super::global::INTERVAL;
use super::{Line, Reader};
use crate::config::number;
use crate::syntax::Complaint;
use std::time::Duration;

/// One block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    pub(super) garp_interval: Option<Duration>,
    pub(super) gna_interval: Option<Duration>,
    interfaces: Vec<String>,
}

impl Reader {
    /// The group that an interface is in.
    pub(super) fn garp_group(&self, interface: &str) -> Option<&Group> {
        self.garp_groups.iter().find(|group| group.interfaces.iter().any(|name| name == interface))
    }

    fn this_group(&mut self) -> Option<&mut Group> {
        self.garp_groups.last_mut()
    }

    fn join(&mut self, line: &Line<'_>, name: &str) {
        if self.garp_group(name).is_some() {
            let message = format!("interface {name} is already in a garp_group - ignoring");
            self.complain(Complaint::error(line.span(), message));
        } else if let Some(group) = self.this_group() {
            group.interfaces.push(name.to_owned());
        }
    }
}

pub(crate) fn block(reader: &mut Reader, line: &Line<'_>) {
    reader.garp_groups.push(Group::default());
    reader.walk(&line.children);
    let group = reader.garp_groups.last().cloned().unwrap_or_default();
    if group.interfaces.is_empty() {
        reader.complain(Complaint::error(line.word.span, "garp_group has no interfaces").expected("'interfaces { NAME … }'"));
    } else if group.garp_interval.is_none() && group.gna_interval.is_none() {
        reader.complain(Complaint::error(line.word.span, "garp_group has no interval").expected("'garp_interval SECONDS'"));
    }
}

pub(crate) fn garp_interval(reader: &mut Reader, line: &Line<'_>) {
    let value = number::decimal(reader, line, &INTERVAL);
    if let Some(group) = reader.this_group() {
        group.garp_interval = value.or(group.garp_interval);
    }
}

pub(crate) fn gna_interval(reader: &mut Reader, line: &Line<'_>) {
    let value = number::decimal(reader, line, &INTERVAL);
    if let Some(group) = reader.this_group() {
        group.gna_interval = value.or(group.gna_interval);
    }
}

/// `[all] SECONDS` of `garp_extra_if` and its old names; on all interfaces when it says so.
pub(super) fn extra_if(reader: &mut Reader, line: &Line<'_>, least: i64) -> Option<(Duration, bool)> {
    if let Some(now) = line.row.and_then(|row| row.renamed) {
        let message = format!("Keyword \"{}\" is deprecated - please use \"{now}\"", &*line.word);
        reader.complain(Complaint::warning(line.word.span, message).fix(line.word.span, now));
    }
    let all = line.arg(0).is_some_and(|word| &*word.text == "all");
    if line.arg(usize::from(all)).is_none() {
        let message = format!("{} specified without time - ignoring", &*line.word);
        reader.complain(Complaint::error(line.span(), message).expected("'[all] SECONDS'"));
        return None;
    }
    let seconds = number::int(reader, line, usize::from(all), least..=86_400, "the line is left out")?;
    Some((Duration::from_secs(u64::try_from(seconds).ok()?), all))
}

pub(crate) fn interface(reader: &mut Reader, line: &Line<'_>) {
    if let Some(name) = line.arg(0) {
        reader.uses_interface(name, |_| "garp_group".to_owned());
        reader.join(line, name);
    }
}

pub(crate) fn interfaces(reader: &mut Reader, block: &Line<'_>) {
    for line in &block.children {
        for name in std::iter::once(&line.word).chain(&line.args) {
            reader.uses_interface(name, |_| "garp_group".to_owned());
            reader.join(line, name);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load_text;
    use std::time::Duration;

    #[test]
    fn a_group_sets_the_pace_of_its_interfaces_and_of_no_other() {
        let instance = |name: &str, interface: &str, vrid: u8| {
            format!(
                "vrrp_instance {name} {{\ninterface {interface}\nvirtual_router_id {vrid}\nvirtual_ipaddress {{\n10.0.0.{vrid}\n}}\n}}\n"
            )
        };
        let text = format!(
            "global_defs {{\nvrrp_garp_interval 0.5\n}}\n{}{}garp_group {{\ngarp_interval 0.1\ninterfaces {{\neth0\neth2\n}}\n}}\n",
            instance("A", "eth0", 1),
            instance("B", "eth1", 2)
        );
        let instances = load_text(&text).config.instances;
        let intervals: Vec<Duration> = instances.iter().map(|settings| settings.announce.garp_interval).collect();
        assert_eq!(intervals, [Duration::from_millis(100), Duration::from_millis(500)]);
    }
}
