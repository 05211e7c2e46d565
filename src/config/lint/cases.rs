//! Every rule on a configuration that breaks it and on one that does not; none is without.

use super::rules::RULES;
use super::tests::linted;
use std::collections::BTreeSet;

const HEAD: &str = "interface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.1/24\n}\n";

/// One rule's case: its id, a configuration that breaks it, one that does not.
struct Case {
    rule: &'static str,
    breaks: String,
    keeps: String,
}

/// The cases of `cases.conf`, whose head says how they are written.
fn cases() -> Vec<Case> {
    let text = include_str!("cases.conf").split("\n= ").skip(1);
    let case = |text: &'static str| {
        let (rule, text) = text.split_once("\n-\n").unwrap();
        // Nothing breaks or keeps to the rule about a file that is not there.
        let (breaks, keeps) = text.split_once("\n+\n").unwrap_or_default();
        Case { rule, breaks: whole(breaks.trim()), keeps: whole(keeps.trim()) }
    };
    text.map(case).collect()
}

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
        _ => linted(text),
    };
    linted.loaded.require_interfaces(|_| rule != "interface-missing");
    linted.loaded.report.diagnostics().iter().any(|found| found.rule == rule)
}

#[test]
fn every_rule_finds_what_breaks_it_and_leaves_the_rest_alone() {
    for Case { rule, breaks, keeps } in cases() {
        assert!(finds(rule, &breaks), "{rule} does not see\n{breaks}");
        assert!(rule == "unreadable" || !finds(rule, &keeps), "{rule} sees\n{keeps}");
    }
}

#[test]
fn no_rule_is_without_its_cases() {
    let told: BTreeSet<_> = cases().iter().map(|case| case.rule).collect();
    let elsewhere = |id: &str| ELSEWHERE.iter().any(|known| id.starts_with(known)) && !told.contains(id);
    let lacking: Vec<_> = RULES.iter().map(|rule| rule.id).filter(|id| !told.contains(id) && !elsewhere(id)).collect();
    assert_eq!(lacking, [""; 0]);
}

#[test]
fn what_a_fix_mends_is_not_found_again() {
    let mut mended = 0;
    for Case { rule, breaks, .. } in cases() {
        let linted = linted(&breaks);
        let found: Vec<_> = linted.loaded.report.diagnostics().iter().filter(|found| found.rule == rule).collect();
        for fix in found.iter().filter_map(|found| found.fix.clone()) {
            let mut cured = breaks.clone();
            cured.replace_range(fix.range, &fix.with);
            let after = super::tests::linted(&cured).loaded.report.diagnostics().iter().filter(|found| found.rule == rule).count();
            assert!(after < found.len(), "{rule}: {cured}");
            mended += 1;
        }
    }
    assert!(mended >= 6, "{mended} fixes");
}
