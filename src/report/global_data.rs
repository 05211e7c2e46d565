//! `global_defs` as `keepalived.data` shows it.

use crate::config::model::{Global, InstanceDefaults, MailTls, Scheduling};
use std::fmt::{self, Write};

/// `vrrp_rlimit_rttime`, `checker_rlimit_rttime` when not written, microseconds.
const DEFAULT_REALTIME_LIMIT: u32 = 10_000;

/// The Global definitions section. `namespace` is the network namespace in use.
pub fn text(global: &Global, namespace: Option<&str>) -> String {
    let mut out = String::from("------< Global definitions >------\n");
    // writing to a String cannot fail
    let _ = write(&mut out, global, namespace);
    out
}

const fn set(value: Option<bool>) -> &'static str {
    match value {
        None => "unset",
        Some(true) => "on",
        Some(false) => "off",
    }
}

fn write(out: &mut String, global: &Global, namespace: Option<&str>) -> fmt::Result {
    writeln!(out, " Network namespace = {}", namespace.unwrap_or("(default)"))?;
    if let Some(instance) = &global.instance {
        writeln!(out, " Instance name = {instance}")?;
    }
    if let Some(name) = &global.process_name {
        writeln!(out, " Parent process name = {name}")?;
    }
    if let Some(name) = &global.vrrp_process_name {
        writeln!(out, " VRRP process name = {name}")?;
    }
    writeln!(out, " Router ID = {}", global.router_id.as_deref().unwrap_or("[unknown]"))?;
    write_mail(out, global)?;
    writeln!(out, " Dynamic interfaces = {}", global.vrrp.dynamic_interfaces)?;
    writeln!(out, " Default interface = {}", global.default_interface)?;
    writeln!(out, " Disable local IGMP = {}", if global.vrrp.disable_local_igmp { "yes" } else { "no" })?;
    write_fifos(out, global)?;
    write_defaults(out, &global.instance_defaults)?;
    let firewall = &global.vrrp.firewall;
    writeln!(out, " nftables table name = {}", firewall.table)?;
    writeln!(out, " nftables base chain priority = {}", firewall.priority)?;
    writeln!(out, " nftables with{} counters", if firewall.counters { "" } else { "out" })?;
    write_process(out, "VRRP", &global.vrrp_process)?;
    write_process(out, "Checker", &global.checker_process)?;
    write_process(out, "BFD", &global.bfd_process)?;
    writeln!(out, " Script security {}", if global.enable_script_security { "enabled" } else { "disabled" })?;
    writeln!(out, " umask = 0{:o}", global.umask.unwrap_or(0o177))?;
    if !global.vrrp.startup_delay.is_zero() {
        writeln!(out, " vrrp_startup_delay = {}", global.vrrp.startup_delay.as_secs_f64())?;
    }
    Ok(())
}

fn write_process(out: &mut String, whose: &str, process: &Scheduling) -> fmt::Result {
    writeln!(out, " {whose} process priority = {}", process.nice.unwrap_or(0))?;
    writeln!(out, " {whose} don't swap = {}", process.no_swap)?;
    writeln!(out, " {whose} realtime priority = {}", process.rt_priority.unwrap_or(0))?;
    if !process.cpu_affinity.is_empty() {
        write!(out, " {whose} CPU Affinity =")?;
        for processor in &process.cpu_affinity {
            write!(out, " {processor}")?;
        }
        writeln!(out)?;
    }
    writeln!(out, " {whose} realtime limit = {}", process.rlimit_rttime.unwrap_or(DEFAULT_REALTIME_LIMIT))
}

fn write_mail(out: &mut String, global: &Global) -> fmt::Result {
    let mail = &global.mail;
    if let Some((host, port)) = &mail.server {
        writeln!(out, " Smtp server = {host}")?;
        writeln!(out, " Smtp server port = {port}")?;
    }
    // Lines of ours, only when there is something to say.
    match mail.tls {
        MailTls::Off => {}
        MailTls::StartTls => writeln!(out, " Smtp TLS = starttls")?,
        MailTls::Tls => writeln!(out, " Smtp TLS = tls")?,
    }
    if let Some(path) = &mail.authority {
        writeln!(out, " Smtp TLS authorities = {}", path.display())?;
    }
    if let Some((user, path)) = &mail.login {
        writeln!(out, " Smtp user = {user}")?;
        writeln!(out, " Smtp password file = {}", path.display())?;
    }
    if let Some(helo) = &mail.helo {
        writeln!(out, " Smtp HELO name = {helo}")?;
    }
    if let Some(timeout) = mail.timeout {
        writeln!(out, " Smtp server connection timeout = {}", timeout.as_secs())?;
    }
    if let Some(from) = &mail.from {
        writeln!(out, " Email notification from = {from}")?;
    }
    if !mail.to.is_empty() {
        writeln!(out, " Email notification to:")?;
    }
    for to in &mail.to {
        writeln!(out, "   {to}")?;
    }
    let defaults = &global.instance_defaults;
    writeln!(out, " Default smtp_alert = {}", set(defaults.smtp_alert))?;
    writeln!(out, " Default smtp_alert_vrrp = {}", set(defaults.smtp_alert_vrrp))
}

fn write_fifos(out: &mut String, global: &Global) -> fmt::Result {
    for (name, fifo) in [("Global", &global.fifos.all), ("VRRP", &global.fifos.vrrp), ("LVS", &global.fifos.lvs)] {
        if let Some(path) = &fifo.path {
            writeln!(out, " {name} notify fifo = {}", path.display())?;
        }
        if let Some(reader) = &fifo.reader {
            writeln!(out, " {name} notify fifo script = {reader}")?;
        }
    }
    writeln!(out, " FIFO write vrrp states on reload = {}", global.fifos.states_on_reload)
}

fn write_defaults(out: &mut String, defaults: &InstanceDefaults) -> fmt::Result {
    let announce = &defaults.announce;
    writeln!(out, " VRRP IPv4 mcast group = {}", defaults.group4)?;
    writeln!(out, " VRRP IPv6 mcast group = {}", defaults.group6)?;
    writeln!(out, " Gratuitous ARP delay = {}", announce.master_delay.as_secs())?;
    writeln!(out, " Gratuitous ARP repeat = {}", announce.master_repeat)?;
    writeln!(out, " Gratuitous ARP refresh timer = {}", announce.master_refresh.as_secs())?;
    writeln!(out, " Gratuitous ARP refresh repeat = {}", announce.master_refresh_repeat)?;
    writeln!(out, " Gratuitous ARP lower priority delay = {}", announce.lower_prio_delay.as_secs())?;
    writeln!(out, " Gratuitous ARP lower priority repeat = {}", announce.lower_prio_repeat)?;
    writeln!(out, " Num adverts before down = {}", defaults.down_timer_adverts)?;
    let which = if announce.extra_if_all { "i/f" } else { "VMAC" };
    writeln!(out, " Gratuitous ARP for each secondary {which} = {}s", announce.extra_if.as_secs())?;
    writeln!(out, " Send advert after receive lower priority advert = {}", !defaults.lower_prio_no_advert)?;
    writeln!(out, " Send advert after receive higher priority advert = {}", defaults.higher_prio_send_advert)?;
    writeln!(out, " Gratuitous ARP interval = {:.6}", announce.garp_interval.as_secs_f64())?;
    writeln!(out, " Gratuitous NA interval = {:.6}", announce.gna_interval.as_secs_f64())?;
    writeln!(out, " VRRP default protocol version = {}", defaults.version.number())?;
    writeln!(out, " VRRP check unicast_src = {}", defaults.check_unicast_src)?;
    writeln!(out, " VRRP skip check advert addresses = {}", defaults.skip_check_adv_addr)?;
    writeln!(out, " VRRP strict mode = {}", defaults.strict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    #[test]
    fn what_is_written_is_shown_and_what_is_not_has_the_originals_default() {
        let text = |lines: &str| text(&load_text(&format!("global_defs {{\n{lines}\n}}\n")).config.global, None);
        let plain = text("");
        for line in [
            " Router ID = ",
            " Default interface = eth0\n",
            " VRRP IPv4 mcast group = 224.0.0.18\n",
            " Gratuitous ARP delay = 5\n",
            " Gratuitous ARP interval = 0.000000\n",
            " VRRP default protocol version = 2\n",
            " VRRP strict mode = false\n",
            " Checker process priority = 0\n",
            " BFD process priority = 0\n",
            " Checker realtime limit = 10000\n",
            " umask = 0177\n",
        ] {
            assert!(plain.contains(line), "{line:?} in {plain}");
        }
        let full = text("router_id ka1\nvrrp_version 3\nvrrp_garp_master_repeat 2\nvrrp_strict\nsmtp_server 127.0.0.1 2525\nsmtp_alert");
        for line in [
            " Router ID = ka1\n",
            " Gratuitous ARP repeat = 2\n",
            " Gratuitous ARP lower priority repeat = 2\n",
            " VRRP default protocol version = 3\n",
            " VRRP strict mode = true\n",
            " Smtp server port = 2525\n",
            " Default smtp_alert = on\n",
        ] {
            assert!(full.contains(line), "{line:?} in {full}");
        }
    }
}
