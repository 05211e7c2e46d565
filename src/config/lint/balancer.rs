//! Rules about virtual and real servers.

use super::{Found, Line, Subject, last};

fn servers<'w, 's>(subject: &Subject<'w, 's>) -> impl Iterator<Item = &'w Line<'s>> {
    subject.blocks("virtual_server")
}

fn reals<'w, 's>(server: &'w Line<'s>) -> impl Iterator<Item = &'w Line<'s>> {
    server.children.iter().filter(|line| &*line.word.text == "real_server")
}

fn title(line: &Line<'_>) -> String {
    line.args.iter().map(|word| &*word.text).collect::<Vec<_>>().join(" ")
}

fn checkers<'w, 's>(real: &'w Line<'s>) -> impl Iterator<Item = &'w Line<'s>> {
    real.children.iter().filter(|line| line.word.ends_with("_CHECK") || line.word.ends_with("_GET"))
}

fn number(block: &Line<'_>, keyword: &str) -> Option<f64> {
    last(block, keyword)?.arg(0)?.parse().ok()
}

pub(super) fn no_real_server(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for server in servers(subject).filter(|server| reals(server).next().is_none()) {
        found.say(server.span(), format!("virtual_server {} has no real_server", title(server)));
    }
}

pub(super) fn no_checker(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for real in servers(subject).flat_map(reals).filter(|real| checkers(real).next().is_none()) {
        found.say(real.span(), format!("real_server {} is never checked", title(real)));
    }
}

pub(super) fn quorum_unreachable(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for server in servers(subject) {
        let Some(quorum) = number(server, "quorum") else { continue };
        let default = number(server, "weight").unwrap_or(1.0);
        let total: f64 = reals(server).map(|real| number(real, "weight").unwrap_or(default)).sum();
        let needed = quorum + number(server, "hysteresis").unwrap_or(0.0);
        if needed > total {
            let place = last(server, "quorum").map_or_else(|| server.span(), Line::span);
            let title = title(server);
            found.say(place, format!("virtual_server {title}: quorum and hysteresis are {needed}, the weights together {total}"));
        }
    }
}

pub(super) fn timeout_longer(subject: &Subject<'_, '_>, found: &mut Found<'_>) {
    for server in servers(subject) {
        for (real, check) in reals(server).flat_map(|real| checkers(real).map(move |check| (real, check))) {
            let around = [check, real, server];
            let first = |keyword: &str| around.iter().find_map(|block| number(block, keyword));
            let every = first("delay_loop").unwrap_or(60.0);
            let timeout = if &*check.word.text == "MISC_CHECK" { number(check, "misc_timeout") } else { first("connect_timeout") };
            if let Some(timeout) = timeout.filter(|timeout| *timeout > every) {
                let place = around.iter().find_map(|block| last(block, "connect_timeout").or_else(|| last(block, "misc_timeout")));
                let place = place.map_or_else(|| check.word.span, Line::span);
                found.say(place, format!("{} of {}: timeout {timeout} s, delay_loop {every} s", &*check.word, title(real)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;

    fn server(lines: &str, real: &str) -> Vec<&'static str> {
        let text = format!(
            "virtual_server 10.0.0.1 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n{lines}\nreal_server 10.0.0.2 80 {{\n{real}\n}}\n}}\n"
        );
        let mut rules = found(&text);
        rules.retain(|rule| !matches!(*rule, "reader" | "not-acted-on"));
        rules
    }

    #[test]
    fn servers_are_checked_and_the_quorum_can_be_met() {
        assert_eq!(server("", "TCP_CHECK {\n}"), [""; 0]);
        assert_eq!(server("", ""), ["no-checker"]);
        assert_eq!(server("quorum 2", "TCP_CHECK {\n}"), ["quorum-unreachable"]);
        assert_eq!(server("quorum 2", "weight 2\nTCP_CHECK {\n}"), [""; 0]);
        assert_eq!(server("delay_loop 3", "TCP_CHECK {\nconnect_timeout 5\n}"), ["check-timeout-longer"]);
        assert_eq!(server("delay_loop 6", "TCP_CHECK {\nconnect_timeout 5\n}"), [""; 0]);
        assert!(found("virtual_server 10.0.0.1 80 {\nprotocol TCP\n}\n").contains(&"no-real-server"));
    }
}
