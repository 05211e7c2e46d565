//! A line that could stand in a configuration, for every keyword.

use super::{Reader, Row};
use crate::syntax::Shape;
use crate::syntax::keyword::{Table, rows};
use std::collections::HashSet;

/// What a word of the argument grammar may be.
const WORDS: &[(&str, &str)] = &[
    ("INTERFACE", "eth0"),
    ("IFNAME", "vrrp51"),
    ("IF", "eth0"),
    ("ADDRESS", "192.0.2.100"),
    ("HOST", "mail.example.org"),
    ("PORT", "80"),
    ("SCRIPT", "/usr/local/bin/check"),
    ("COMMAND", "nginx"),
    ("USER", "nobody"),
    ("NAME", "example"),
    ("INSTANCE", "VI_1"),
    ("PREFIX", "vrrp"),
    ("PATH", "/var/lib/keepalived/file"),
    ("DIRECTORY", "/var/lib/keepalived"),
    ("FILE", "/etc/keepalived/file.pem"),
    ("PASSWORD", "secret"),
    ("SECONDS", "2"),
    ("DAYS", "14"),
    ("MILLISECONDS", "100"),
    ("MICROSECONDS", "20000"),
    ("COUNT", "2"),
    ("BYTES", "65536"),
    ("NUMBER", "100"),
    ("CPU", "0"),
    ("ID", "1"),
    ("VALUE", "0123456789abcdef0123456789abcdef"),
    ("MD5", "ec90a42b99ea9a2f5ecbe213ac9eba03"),
    ("HEX", "0a0b"),
    ("REGEX", "\"it works\""),
    ("OPTION", "caseless"),
    ("START", "1024"),
    ("MAX", "65536"),
    ("BFD", "example"),
    ("ROUTE", "198.51.100.0/24 via 192.0.2.1 dev eth0"),
    ("RULE", "from 192.0.2.0/24 table 100 preference 1000"),
    ("DOWN", "1"),
    ("MASK", "24"),
    ("N", "1"),
    ("A", "224.0.0.81"),
    ("VI", "VI_1"),
];

/// Samples that the grammar cannot give.
const KEYWORDS: &[(&str, &str)] = &[
    ("router_id", "node-a"),
    ("priority", "150"),
    ("virtual_router_id", "51"),
    ("advert_int", "1"),
    ("umask", "0177"),
    ("include_check", "match +brace_match"),
    ("state", "BACKUP"),
    ("notification_email", "admin@example.org"),
    ("notification_email_from", "keepalived@example.org"),
    ("virtual_ipaddress", "192.0.2.100/24 dev eth0"),
    ("virtual_ipaddress_excluded", "2001:db8::100/64"),
    ("static_ipaddress", "192.0.2.10/24 dev eth0"),
    ("mcast_dst_ip", "224.0.0.18"),
    ("vrrp_mcast_group4", "224.0.0.18"),
    ("vrrp_mcast_group6", "ff02::12"),
    ("lvs_timeouts", "tcp 900 tcpfin 120 udp 300"),
    ("lvs_sync_daemon", "eth0 inst VI_1 id 51"),
    ("lvs_method", "DR"),
    ("lb_kind", "DR"),
    ("sorry_server_lvs_method", "DR"),
    ("status_code", "200-299 301"),
    ("path", "/health"),
    ("reload_file", "/run/keepalived.reload"),
    ("type", "SOA"),
    ("init_file", "0 overwrite"),
    ("timer_expired_backup", "100"),
    ("thread_timer_expired", "100"),
    ("snmp_socket", "unix:/var/agentx/master"),
    ("snmp_vs_stats_update_interval", "5"),
    ("snmp_rs_stats_update_interval", "5"),
    ("idle_tx", "1000"),
    ("use_vmac", "vrrp51"),
    ("regex_options", "caseless"),
    ("weight", "10"),
    ("interface_up_down_delays", "eth0 1 2"),
    ("lvs_flush_on_stop", "VS"),
    ("lvs_flush_onstop", "VS"),
];

/// The words after the keyword; for a list what stands on its line.
pub(super) fn arguments(row: &Row) -> String {
    if let Some((_, sample)) = KEYWORDS.iter().find(|(name, _)| *name == row.name) {
        return (*sample).to_owned();
    }
    if row.args.starts_with("[on|off") {
        return "on".to_owned();
    }
    let list = matches!(row.shape, Shape::List);
    let wanted = if list { 1 } else { usize::from(row.min.max(1)) };
    let words = row.args.split_ascii_whitespace().filter(|word| *word != "…" && *word != "|");
    let words: Vec<_> = words.take(if row.max == 0 && !list { 0 } else { wanted }).map(word).collect();
    words.join(" ")
}

fn word(written: &str) -> String {
    let bare = written.trim_matches(['[', ']', '…']);
    let choice = bare.split('|').next().unwrap_or(bare);
    if let Some((low, _)) = choice.split_once("..") {
        return low.to_owned();
    }
    let name = choice.split(['/', '[', '-']).next().unwrap_or(choice);
    WORDS.iter().find(|(word, _)| *word == name).map_or(choice, |(_, sample)| sample).to_owned()
}

/// The keyword as it could be written.
pub(super) fn lines(row: &Row) -> Vec<String> {
    let arguments = arguments(row);
    let spaced = |text: &str| if text.is_empty() { String::new() } else { format!(" {text}") };
    match row.shape {
        Shape::Line => vec![format!("{}{}", row.name, spaced(&arguments))],
        Shape::List => {
            let name = if row.max > 0 { " example" } else { "" };
            vec![format!("{}{name} {{", row.name), format!("    {arguments}"), "}".to_owned()]
        }
        Shape::Block(table) => {
            let mut block = vec![format!("{}{} {{", row.name, spaced(&arguments))];
            block.extend(required(table).flat_map(lines).map(|line| format!("    {line}")));
            block.extend(["    …".to_owned(), "}".to_owned()]);
            block
        }
    }
}

/// What a block cannot do without; of two spellings one.
fn required(table: Table<Reader>) -> impl Iterator<Item = &'static Row> {
    let mut told = HashSet::new();
    rows(table).filter(move |row| row.default == "required" && told.insert(row.means))
}

/// The same within the blocks around it.
pub(super) fn within(path: &[&'static Row], row: &Row) -> String {
    let mut text = Vec::new();
    for (depth, block) in path.iter().enumerate() {
        let open = lines(block).swap_remove(0);
        text.push(format!("{}{open}", "    ".repeat(depth)));
    }
    text.extend(lines(row).into_iter().map(|line| format!("{}{line}", "    ".repeat(path.len()))));
    text.extend((0..path.len()).rev().map(|depth| format!("{}}}", "    ".repeat(depth))));
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::{Entry, every};
    use super::*;
    use crate::config::load_text;

    /// What stands around a sample is not complete, so much is said about it; but nothing about how the sample is written.
    #[test]
    fn every_sample_is_understood() {
        let mut refused = Vec::new();
        every(|Entry { path, row }| {
            let text = within(path, row).replace("…", "");
            let loaded = load_text(&text);
            for found in loaded.report.diagnostics() {
                let about = found.place.as_ref().is_some_and(|place| place.text.trim_start().starts_with(row.name));
                let form =
                    ["Unknown", "missing a parameter", "invalid", "outside", "no more words", "takes no value", "Missing", "malformed"];
                let wrong = form.iter().any(|word| found.message.contains(word)) && found.message != "(VI_1) Unknown interface!";
                if about && wrong && !matches!(row.shape, Shape::Block(_)) {
                    refused.push(format!("{text}\n{}", found.one_line()));
                }
            }
        });
        assert!(refused.is_empty(), "{}", refused.join("\n\n"));
    }
}
