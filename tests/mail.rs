//! Mail: byte for byte as the original's, by a process without powers, kept while the server is away, encrypted and logged in
//! when asked to.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::sink::{MailSink, Paper, subject};
use common::*;
use std::collections::BTreeMap;
use std::path::Path;

const ORIGINAL: &str = "/usr/sbin/keepalived";

const MAIL: &str = "global_defs {\n    router_id lab\n    notification_email {\n        a@example.org\n        \"B C <b@example.org>\"\n    }\n    \
    notification_email_from k@example.org\n    smtp_server 127.0.0.1\n    smtp_helo_name helo.example.org\n    smtp_connect_timeout 5\n}\n";

#[test]
fn every_state_is_mailed_to_everybody_by_a_process_without_powers() {
    laboratory(&["ka1"], |lab| {
        let sink = MailSink::start(lab.host("ka1"));
        let daemon = start(lab.host("ka1"), &format!("{MAIL}{}", fast_with(100, "smtp_alert")));
        lab.wait("two mails", secs(10), || sink.subjects().len() >= 2).unwrap();
        let subject = |state: &str| format!("[lab] VRRP Instance VI_1 - Entering {state} state");
        assert_eq!(sink.subjects()[..2], [subject("BACKUP"), subject("MASTER")]);
        let mail = sink.mails()[1].clone();
        for line in
            ["HELO helo.example.org", "MAIL FROM:<k@example.org>", "RCPT TO:<a@example.org>", "From: k@example.org", "X-Mailer: Keepalived"]
        {
            assert!(mail.lines().any(|heard| heard == line), "{line} in {mail}");
        }
        assert!(mail.contains("\nTo: a@example.org, B C <b@example.org>\n\n=> VRRP Instance is now owning VRRP VIPs <=\n"), "{mail}");
        if ours() {
            assert!(mail.lines().any(|heard| heard == "RCPT TO:<b@example.org>"), "{mail}");
            assert_eq!(couriers(lab, &daemon), 1, "the mail child and no other has no capability");
        }
    });
}

/// Children of the daemon that have no capability.
fn couriers(lab: &Lab, daemon: &Daemon) -> usize {
    let of_daemon = daemon.children();
    let children = lab.host("ka1").processes().into_iter().filter(|process| of_daemon.iter().any(|child| child.pid == process.pid));
    let powers = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    children.filter(|child| powers(child.pid).contains("CapPrm:\t0000000000000000")).count()
}

#[test]
fn a_mail_server_that_is_away_holds_nothing_up_and_gets_the_mail_later() {
    laboratory(&["ka1"], |lab| {
        if !promised_by_ours() {
            return;
        }
        let daemon = start(lab.host("ka1"), &format!("{MAIL}{}", fast_with(100, "smtp_alert")));
        only(lab, "ka1", VIP, secs(5));
        wait_log(lab, &daemon, "trying again in 5 s", secs(5));
        let sink = MailSink::start(lab.host("ka1"));
        lab.wait("both mails", secs(12), || sink.subjects().len() == 2).unwrap();
    });
}

/// Two instances in a group, and what happens to them: every kind of mail of VRRP.
fn mails_of(program: &str, global: &str) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    laboratory(&["ka1"], |lab| {
        let ka1 = lab.host("ka1");
        ka1.write("/etc/hosts", "127.0.0.1 localhost\n10.255.255.1 ka1.example.net ka1\n").unwrap();
        let sink = MailSink::start(ka1);
        let second = Instance { name: "VI_2", vrid: 52, addresses: &["172.25.254.200/24"], ..Instance::default() };
        let group = "vrrp_sync_group G1 {\n    group {\n        VI_1\n        VI_2\n    }\n}\n";
        let first = fast_with(100, "");
        ka1.write(CONF, format!("{global}{group}{first}{second}")).unwrap();
        let _daemon = start_as(ka1, program, &["-n", "-l", "-D"]);
        let has = |state: &str| {
            let lines = ["Instance VI_1", "Instance VI_2", "Group G1"].map(|who| format!("VRRP {who} - Entering {state} state"));
            let subjects = sink.subjects();
            lines.iter().all(|line| subjects.iter().any(|subject| subject.ends_with(line)))
        };
        lab.wait("mails of masters", secs(15), || has("BACKUP") && has("MASTER")).unwrap();
        ka1.set_link("eth0", false).unwrap();
        lab.wait("mails of faults", secs(15), || has("FAULT")).unwrap();
        for mail in sink.mails() {
            let text: Vec<&str> = mail.lines().map(|line| if line.starts_with("Date: ") { "Date: D" } else { line }).collect();
            told.insert(subject(&mail).unwrap(), text.join("\n"));
        }
    });
    told
}

/// The same mails of both, whatever came first.
fn same_mails(global: &str) {
    if !Path::new(ORIGINAL).exists() {
        return skip("Debian's keepalived is not installed");
    }
    if !promised_by_ours() {
        return;
    }
    let (theirs, own) = (mails_of(ORIGINAL, global), mails_of("keepalived", global));
    for (subject, mail) in &theirs {
        assert_eq!(own.get(subject), Some(mail), "{subject}");
    }
    // Without a laboratory both are empty, and that was said.
    assert_eq!(own.len(), theirs.len());
}

#[test]
fn mails_are_the_originals_byte_for_byte() {
    same_mails(
        "global_defs {\n    router_id lab\n    notification_email {\n        a@example.org\n        b@example.org\n    }\n    \
         notification_email_from k@example.org\n    smtp_server 127.0.0.1\n    smtp_helo_name helo.example.org\n    smtp_alert\n}\n",
    );
}

#[test]
fn what_is_not_written_has_the_originals_default() {
    same_mails(
        "global_defs {\n    notification_email {\n        a@example.org\n    }\n    smtp_server 127.0.0.1\n    smtp_alert_vrrp\n}\n",
    );
}

/// `echo -n '\0me\0s3cret-word' | base64`
const LOGIN: &str = "AG1lAHMzY3JldC13b3Jk";
const PASSWORD: &str = "s3cret-word";

const ENCRYPTED: &str = "global_defs {\n    router_id lab\n    notification_email {\n        a@example.org\n    }\n    \
    notification_email_from k@example.org\n    smtp_helo_name helo.example.org\n    smtp_server localhost\n    smtp_tls\n    \
    smtp_tls_ca /etc/keepalived/ca.pem\n    smtp_user me\n    smtp_password_file /etc/keepalived/password\n}\n";

/// What both tests of encryption need; the host's password file has this mode.
fn encrypted(lab: &Lab, authority: &str, mode: &str) {
    let ka1 = lab.host("ka1");
    // "localhost" may stand for ::1 alone elsewhere.
    ka1.write("/etc/hosts", "127.0.0.1 localhost\n").unwrap();
    ka1.write("/etc/keepalived/ca.pem", authority).unwrap();
    ka1.write("/etc/keepalived/password", format!("{PASSWORD}\n")).unwrap();
    ka1.sh(&format!("chmod {mode} /etc/keepalived/password")).unwrap();
}

#[test]
fn encrypted_mail_with_a_login_comes_from_the_process_without_powers_and_the_password_is_nowhere() {
    laboratory(&["ka1"], |lab| {
        if !promised_by_ours() {
            return;
        }
        let paper = Paper::new("localhost");
        encrypted(lab, &paper.authority, "0600");
        let ka1 = lab.host("ka1");
        let sink = MailSink::start_encrypted(ka1, &paper, LOGIN);
        let daemon = start(ka1, &format!("{ENCRYPTED}{}", fast_with(100, "smtp_alert")));
        lab.wait("two mails", secs(20), || sink.subjects().len() >= 2).unwrap();
        let wanted = "EHLO helo.example.org\nSTARTTLS\nEHLO helo.example.org\nAUTH PLAIN AG1lAHMzY3JldC13b3Jk\nMAIL FROM:<k@example.org>\n";
        assert!(sink.mails()[0].starts_with(wanted), "{:?}", sink.mails()[0]);
        assert_eq!(couriers(lab, &daemon), 1, "the mail child and no other has no capability");
        daemon.signal(Signal::SIGUSR1).unwrap();
        lab.wait("the dump", secs(10), || ka1.read("/tmp/keepalived_parent.data").is_some_and(|text| text.contains("Smtp user = me")))
            .unwrap();
        let dump = ka1.read("/tmp/keepalived_parent.data").unwrap();
        assert!(!dump.contains(PASSWORD) && !daemon.log().contains(PASSWORD) && !daemon.log().contains(LOGIN));
    });
}

#[test]
fn a_wrong_authority_and_an_open_password_file_are_told_and_a_reload_and_a_chmod_cure_them() {
    laboratory(&["ka1"], |lab| {
        if !promised_by_ours() {
            return;
        }
        let (paper, stranger) = (Paper::new("localhost"), Paper::new("localhost"));
        encrypted(lab, &stranger.authority, "0644");
        let ka1 = lab.host("ka1");
        let sink = MailSink::start_encrypted(ka1, &paper, LOGIN);
        let config = format!("{ENCRYPTED}{}", fast_with(100, "smtp_alert"));
        let daemon = start(ka1, &config);
        wait_log(lab, &daemon, "smtp_password_file /etc/keepalived/password is open to everybody (mode 0644)", secs(10));
        only(lab, "ka1", VIP, secs(10));
        ka1.sh("chmod 0600 /etc/keepalived/password").unwrap();
        wait_log(lab, &daemon, "its certificate is not accepted", secs(40));
        assert!(sink.mails().is_empty());
        ka1.write("/etc/keepalived/ca2.pem", &paper.authority).unwrap();
        reload(ka1, &daemon, &config.replace("ca.pem", "ca2.pem"));
        lab.wait("both mails", secs(60), || sink.subjects().len() == 2).unwrap();
    });
}
