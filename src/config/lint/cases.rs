//! Every rule on a configuration that breaks it and on one that does not; none is without.

use super::rules::RULES;
use super::tests::linted;
use std::collections::BTreeSet;

const HEAD: &str = "interface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.1/24\n}\n";

/// A rule, what breaks it and what does not; `I{ … }` is an instance with everything that it must have, `S{ … }` a server.
const CASES: &[(&str, &str, &str)] = &[
    ("reader", "I{priority 300}", "I{priority 30}"),
    ("unreadable", "", ""),
    ("unknown-keyword", "global_defs {\nqqqqqqqq x\n}", "global_defs {\nrouter_id x\n}"),
    ("joined-words", "vrrp_script_chk {\nscript /bin/true\n}", "vrrp_script chk {\nscript /bin/true\n}"),
    ("not-acted-on", "namespace_with_ipsets", "global_defs {\nrouter_id x\n}"),
    ("untracked-route", "I{virtual_routes {\n10.0.0.0/8 via 10.0.0.9\n}\n}", "I{virtual_routes {\n10.0.0.0/8 via 10.0.0.9 dev eth0\n}\n}"),
    (
        "rule-preference",
        "I{virtual_rules {\nfrom 10.0.0.0/8 table 5\n}\n}",
        "I{virtual_rules {\nfrom 10.0.0.0/8 table 5 preference 9\n}\n}",
    ),
    ("extra-words", "global_defs {\nrouter_id a b\n}", "global_defs {\nrouter_id \"a b\"\n}"),
    ("braces", "I{}\n}", "I{}"),
    ("include-missing", "include gone.conf", "# include gone.conf"),
    ("include-loop", "include a.conf", "# include a.conf"),
    ("too-large", "~SEQ(A,1,100000) ~SEQ(B,1,100000) router_id ${A}${B}", "~SEQ(A,1,2) child_wait_time ${A}"),
    (
        "duplicate-vrid",
        "I{}\nvrrp_instance J {\nHEAD}",
        "I{}\nvrrp_instance J {\ninterface eth1\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.3/24\n}\n}",
    ),
    ("duplicate-name", "I{}\nI{}", "I{}"),
    ("nopreempt-master", "I{state MASTER\npriority 100\nnopreempt}", "I{state BACKUP\npriority 100\nnopreempt}"),
    (
        "pass-long",
        "I{authentication {\nauth_type PASS\nauth_pass 123456789\n}\n}",
        "I{authentication {\nauth_type PASS\nauth_pass 12345678\n}\n}",
    ),
    ("unit", "I{preempt_delay 5s}", "I{preempt_delay 5}"),
    ("zero-interval", "global_defs {\nvrrp_garp_interval 0\n}", "global_defs {\nvrrp_garp_interval 0.1\n}"),
    ("undefined-object", "I{track_script {\nchk\n}\n}", "vrrp_script chk {\nscript /bin/true\n}\nI{track_script {\nchk\n}\n}"),
    ("interface-missing", "I{}", "global_defs {\ndynamic_interfaces\n}\nI{}"),
    ("strict-unreachable", "I{strict_mode on\npriority 100}", "I{strict_mode on\npriority 100\nversion 3\naccept}"),
    (
        "strict-auth",
        "I{strict_mode on\nauthentication {\nauth_type PASS\nauth_pass 1\n}\n}",
        "I{authentication {\nauth_type PASS\nauth_pass 1\n}\n}",
    ),
    ("strict-unicast", "I{strict_mode on\nunicast_peer {\n10.0.0.9\n}\n}", "I{unicast_peer {\n10.0.0.9\n}\n}"),
    ("auth-pass", "I{authentication {\nauth_type PASS\nauth_pass 1\n}\n}", "I{}"),
    ("owner-backup", "I{priority 255\nstate BACKUP}", "I{priority 254\nstate BACKUP}"),
    ("master-without-priority", "I{state MASTER}", "I{state MASTER\npriority 100}"),
    (
        "peer-is-self",
        "I{unicast_src_ip 10.0.0.9\nunicast_peer {\n10.0.0.9\n}\n}",
        "I{unicast_src_ip 10.0.0.9\nunicast_peer {\n10.0.0.8\n}\n}",
    ),
    ("peer-without-source", "I{unicast_peer {\n10.0.0.9\n}\n}", "I{unicast_src_ip 10.0.0.8\nunicast_peer {\n10.0.0.9\n}\n}"),
    ("no-prefix", "I{virtual_ipaddress_excluded {\n10.0.0.7\n}\n}", "I{virtual_ipaddress_excluded {\n10.0.0.7/32\n}\n}"),
    ("address-twice", "I{}\nvrrp_instance J {\ninterface eth0\nvirtual_router_id 2\nvirtual_ipaddress {\n10.0.0.1/24\n}\n}", "I{}"),
    ("address-of-node", "I{mcast_src_ip 10.0.0.1}", "I{mcast_src_ip 10.0.0.2}"),
    ("undefined-name", "global_defs {\nrouter_id $NODE\n}", "$NODE=x\nglobal_defs {\nrouter_id $NODE\n}"),
    ("old-name", "global_defs {\nlvs_process_name x\n}", "global_defs {\nchecker_process_name x\n}"),
    ("written-twice", "I{priority 100\npriority 90}", "I{priority 100}"),
    (
        "script-cannot-signal",
        "vrrp_script c {\nscript \"/usr/bin/killall -0 x\"\n}\nI{track_script {\nc\n}\n}",
        "vrrp_script c {\nscript \"/usr/bin/pgrep x\"\n}\nI{track_script {\nc\n}\n}",
    ),
    (
        "script-relative",
        "vrrp_script c {\nscript pgrep\n}\nI{track_script {\nc\n}\n}",
        "vrrp_script c {\nscript /usr/bin/pgrep\n}\nI{track_script {\nc\n}\n}",
    ),
    (
        "timeout-longer",
        "vrrp_script c {\nscript /bin/true\ninterval 2\ntimeout 3\n}\nI{track_script {\nc\n}\n}",
        "vrrp_script c {\nscript /bin/true\ninterval 3\ntimeout 3\n}\nI{track_script {\nc\n}\n}",
    ),
    (
        "script-security",
        "global_defs {\nscript_user root\n}\nI{notify /bin/true}",
        "global_defs {\nscript_user root\nenable_script_security\n}\nI{notify /bin/true}",
    ),
    ("mail-incomplete", "global_defs {\nsmtp_server 127.0.0.1\n}", "global_defs {\nsmtp_server 127.0.0.1\nnotification_email {\na@b\n}\n}"),
    ("no-real-server", "virtual_server 10.0.0.1 80 {\nprotocol TCP\n}", "S{TCP_CHECK {\n}\n}"),
    ("no-checker", "S{}", "S{TCP_CHECK {\n}\n}"),
    ("quorum-unreachable", "quorum:2 S{TCP_CHECK {\n}\n}", "quorum:1 S{TCP_CHECK {\n}\n}"),
    (
        "check-timeout-longer",
        "S{delay_loop 3\nTCP_CHECK {\nconnect_timeout 5\n}\n}",
        "S{delay_loop 6\nTCP_CHECK {\nconnect_timeout 5\n}\n}",
    ),
];

/// Found between two files (`peer`) or on the machine (`ctl::check::machine`): their cases are there.
const ELSEWHERE: &[&str] =
    &["peer-", "weight-", "address-outside", "owner-without-address", "script-refused", "script-doubtful", "secret-readable"];

fn whole(text: &str) -> String {
    let (quorum, text) = match text.strip_prefix("quorum:").and_then(|rest| rest.split_once(' ')) {
        Some((quorum, rest)) => (format!("quorum {quorum}\n"), rest),
        None => (String::new(), text),
    };
    let server = format!("virtual_server 10.0.0.1 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n{quorum}real_server 10.0.0.2 80 {{\n");
    let text = text.replace("HEAD", HEAD).replace("I{", &format!("vrrp_instance I {{\n{HEAD}"));
    let text = match text.strip_prefix("S{") {
        Some(rest) => format!("{server}{rest}\n}}"),
        None => text,
    };
    // A block's last brace stands where it may: on the last line, too.
    text + "\n"
}

fn finds(rule: &str, text: &str) -> bool {
    let mut linted = match rule {
        "unreadable" => super::lint(&super::tests::Texts(&[]), std::path::Path::new("a.conf"), &super::LoadOptions::default()),
        _ => linted(&whole(text)),
    };
    linted.loaded.require_interfaces(|_| rule != "interface-missing");
    linted.loaded.report.diagnostics().iter().any(|found| found.rule == rule)
}

#[test]
fn every_rule_finds_what_breaks_it_and_leaves_the_rest_alone() {
    for (rule, breaks, keeps) in CASES {
        assert!(finds(rule, breaks), "{rule} does not see\n{}", whole(breaks));
        assert!(*rule == "unreadable" || !finds(rule, keeps), "{rule} sees\n{}", whole(keeps));
    }
}

#[test]
fn no_rule_is_without_its_cases() {
    let told: BTreeSet<_> = CASES.iter().map(|(rule, ..)| *rule).collect();
    let elsewhere = |id: &str| ELSEWHERE.iter().any(|known| id.starts_with(known)) && !told.contains(id);
    let lacking: Vec<_> = RULES.iter().map(|rule| rule.id).filter(|id| !told.contains(id) && !elsewhere(id)).collect();
    assert_eq!(lacking, [""; 0]);
}

#[test]
fn what_a_fix_mends_is_not_found_again() {
    let mut mended = 0;
    for (rule, breaks, _) in CASES {
        let text = whole(breaks);
        let linted = linted(&text);
        let found = linted.loaded.report.diagnostics().iter().filter(|found| found.rule == *rule);
        for fix in found.filter_map(|found| found.fix.clone()) {
            let mut cured = text.clone();
            cured.replace_range(fix.range, &fix.with);
            let before = linted.loaded.report.diagnostics().iter().filter(|found| found.rule == *rule).count();
            let after = super::tests::linted(&cured).loaded.report.diagnostics().iter().filter(|found| found.rule == *rule).count();
            assert!(after < before, "{rule}: {cured}");
            mended += 1;
        }
    }
    assert!(mended >= 6, "{mended} fixes");
}
