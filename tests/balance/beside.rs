//! The original as oracle: on the same configuration the kernel's table is the same, word for word.

use crate::common::*;
use crate::house::*;
use std::any::type_name;
use std::path::Path;

const ORIGINAL: &str = "/usr/sbin/keepalived";

/// Runs the original on ka1 and ours on ka2 with this configuration, and shows them to `test`.
fn beside<F: FnOnce(&House<'_>, &Daemon, &Daemon)>(config: &str, test: F) {
    if !promised_by_ours() {
        return;
    }
    if !Path::new(ORIGINAL).exists() {
        return skip("install keepalived: the original is the oracle");
    }
    house_as(type_name::<F>(), |house| {
        house.host("ka1").write(CONF, config).unwrap();
        let original = start_as(house.host("ka1"), ORIGINAL, &["-n", "-l", "-D"]);
        let ours = start(house.host("ka2"), config);
        test(house, &original, &ours);
    });
}

/// `ipvsadm -Sn`, sorted.
fn saved(host: &Host) -> Vec<String> {
    let mut lines: Vec<String> = host.sh("ipvsadm -Sn").unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Waits until both tables have so many lines, and compares them.
fn same_tables(house: &House<'_>, lines: usize) {
    let both = || (saved(house.host("ka1")), saved(house.host("ka2")));
    let full = |(original, ours): &(Vec<String>, Vec<String>)| original.len() == lines && ours.len() == lines;
    if lab::until("full tables", PATIENCE, || full(&both())).is_err() {
        let (original, ours) = both();
        panic!("not {lines} lines: original {original:#?}\nours {ours:#?}\n{}", house.lab.logs());
    }
    let (original, ours) = both();
    assert_eq!(ours, original);
}

/// Waits until both tables are the same, and hold so many lines at least.
fn become_the_same(house: &House<'_>, least: usize) {
    let both = || (saved(house.host("ka1")), saved(house.host("ka2")));
    let same = |(original, ours): &(Vec<String>, Vec<String>)| original == ours && ours.len() >= least;
    if lab::until("the same tables", PATIENCE, || same(&both())).is_err() {
        let (original, ours) = both();
        panic!("at least {least} lines: original {original:#?}\nours {ours:#?}\n{}", house.lab.logs());
    }
}

const PLAIN: &str = "    lb_kind DR\n    protocol TCP\n";

#[test]
fn every_scheduler_flag_method_and_persistence_is_the_originals() {
    let real = real_server("172.25.254.110 80", "        weight 3\n");
    let mut config = "global_defs {\n    lvs_timeouts tcp 100 tcpfin 50 udp 70\n}\n".to_owned();
    let mut lines = 0;
    let mut port = 1000;
    let mut add = |at: Option<&str>, words: &str, reals: &str, rows: usize| {
        port += 1;
        let at = at.map_or_else(|| format!("172.25.254.100 {port}"), str::to_owned);
        config += &virtual_server(&at, words, reals);
        lines += rows;
    };
    for scheduler in ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "mh", "fo", "ovf"] {
        add(None, &format!("{PLAIN}    lb_algo {scheduler}\n"), &real, 2);
    }
    for flags in
        ["lb_algo sh\nsh-port", "lb_algo sh\nsh-fallback\nsh-port", "lb_algo mh\nmh-port\nmh-fallback", "lb_algo wlc\nflag-1\nflag-3"]
    {
        add(None, &format!("{PLAIN}{flags}\n"), &real, 2);
    }
    for words in ["persistence_timeout 50", "persistence_timeout", "persistence_timeout 30\n    persistence_granularity 255.255.255.0"] {
        add(None, &format!("{PLAIN}    lb_algo rr\n    {words}\n"), &real, 2);
    }
    add(None, "lb_algo rr\nlb_kind DR\nprotocol UDP\nops\n", &real, 2);
    add(None, "lb_algo rr\nlb_kind NAT\nprotocol UDP\npersistence_timeout 60\npersistence_engine sip\n", &real, 2);
    add(None, "lb_algo rr\nlb_kind NAT\nprotocol SCTP\n", &real, 2);
    add(
        Some("172.25.254.100 0"),
        "lb_algo rr\nlb_kind DR\nprotocol TCP\npersistence_timeout 10\n",
        &real_server("172.25.254.110 0", ""),
        2,
    );
    add(None, PLAIN, &real_server("172.25.254.110 80", "        uthreshold 100\n        lthreshold 50\n"), 2);
    for method in [
        "TUN",
        "TUN type ipip",
        "TUN type gue port 6080",
        "TUN type gue port 6080 csum",
        "TUN type gue port 6080 remcsum",
        "TUN type gre",
        "TUN type gre csum",
        "NAT",
        "DR",
    ] {
        add(
            None,
            "lb_algo rr\nprotocol TCP\nlb_kind DR\n",
            &real_server("172.25.254.110 80", &format!("        lvs_method {method}\n")),
            2,
        );
    }
    let v6 = real_server("fd00:25::120 80", "");
    add(Some("fd00:25::100 80"), "lb_algo wrr\nlb_kind DR\nprotocol TCP\npersistence_timeout 10\npersistence_granularity 64\n", &v6, 2);
    add(None, "lb_algo rr\nlb_kind TUN\nprotocol TCP\n", &(v6.clone() + &real_server("172.25.254.120 80", "")), 3);
    add(Some("fwmark 5"), "lb_algo rr\nlb_kind DR\nprotocol TCP\n", &real_server("172.25.254.110", ""), 2);
    add(Some("fwmark 6"), "lb_algo rr\nlb_kind DR\nip_family inet6\nprotocol TCP\n", &real_server("fd00:25::120", ""), 2);
    config += "virtual_server_group G {\n    172.25.254.150-153 80\n    172.25.254.160 81\n    fwmark 9\n}\n";
    config += &virtual_server("group G", "lb_algo rr\nlb_kind NAT\nprotocol TCP\n", &real_server("172.25.254.110 8080", ""));
    lines += 12;
    beside(&config, |house, _, _| {
        same_tables(house, lines);
        let timeouts = |host: &str| house.host(host).sh("ipvsadm -L --timeout").unwrap();
        assert_eq!(timeouts("ka2"), "Timeout (tcp tcpfin udp): 100 50 70\n");
        assert_eq!(timeouts("ka2"), timeouts("ka1"));
    });
}

/// What a daemon said of servers that went, without the causes that ours adds in brackets and without the words of others.
fn verdicts(log: &str) -> Vec<String> {
    const OPENINGS: &[&str] = &[
        "TCP_CHECK on service",
        "HTTP_CHECK on service",
        "SMTP_CHECK ",
        "DNS_CHECK ",
        "UDP_CHECK on service",
        "ICMP CHECK on service",
        "Misc check for",
        "Removing service",
        "([172.25.254.110]:tcp:1080): tracked file",
    ];
    let line = |line: &str| {
        let at = OPENINGS.iter().filter_map(|opening| line.find(opening)).min()?;
        let text = &line[at..];
        // A script's status is the original's own word.
        let cause = text.find(" (").filter(|_| text.starts_with("SMTP_CHECK"));
        Some(cause.map_or(text, |cause| &text[..cause]).trim_end().to_owned())
    };
    let mut lines: Vec<String> = log.lines().filter_map(line).collect();
    lines.sort();
    lines
}

#[test]
fn checkers_say_of_a_dead_server_what_the_original_says() {
    const TIMES: &str = "connect_timeout 5\n retry 1\n delay_before_retry 0.5\n";
    let check = |keyword: &str, words: &str| format!("        {keyword} {{\n {TIMES} {words}\n        }}\n");
    let http = "url {\n path /\n }";
    let checks = [
        check("TCP_CHECK", ""),
        check("TCP_CHECK", "alpha"),
        check("HTTP_GET", http),
        check("SMTP_CHECK", ""),
        check("SMTP_CHECK", "log_all_failures"),
        check("DNS_CHECK", ""),
        check("UDP_CHECK", ""),
        "        MISC_CHECK {\n misc_path /usr/bin/false\n }\n".to_owned(),
        "        MISC_CHECK {\n misc_path \"/usr/bin/false x\"\n retry 2\n delay_before_retry 0.5\n }\n".to_owned(),
    ];
    let words = "    delay_loop 300\n    warmup 0\n    lb_algo rr\n    lb_kind NAT\n    protocol TCP\n";
    let server = |port: usize, check: &str| {
        virtual_server(&format!("172.25.254.100 {port}"), words, &real_server(&format!("172.25.254.110 {port}"), check))
    };
    let file = "        FILE_CHECK {\n track_file outage\n weight 0\n }\n";
    let mut config = "track_file outage {\n file /tmp/outage\n init_file 0\n}\n".to_owned() + &server(1080, file);
    for (place, check) in checks.iter().enumerate() {
        config += &server(2000 + place, check);
    }
    beside(&config, |house, original, ours| {
        // All but the one of alpha, which was never there; and the mail servers, which have their retries first.
        let down = |daemon: &Daemon| verdicts(&daemon.log()).iter().filter(|line| line.starts_with("Removing")).count() == checks.len() - 1;
        house.lab.wait("verdicts of both", PATIENCE, || down(original) && down(ours)).unwrap();
        for host in ["ka1", "ka2"] {
            house.host(host).write("/tmp/outage", "1\n").unwrap();
        }
        let gone = |daemon: &Daemon| verdicts(&daemon.log()).iter().any(|line| line.starts_with("Removing") && line.contains(":1080"));
        house.lab.wait("the outage by file", PATIENCE, || gone(original) && gone(ours)).unwrap();
        assert_eq!(verdicts(&ours.log()), verdicts(&original.log()), "{}", house.lab.logs());
    });
}

#[test]
fn words_that_make_no_sense_are_taken_as_the_original_takes_them() {
    let real = real_server("172.25.254.110 80", "");
    let (mut config, mut port) = (String::new(), 2000);
    let mut add = |words: &str| {
        port += 1;
        config += &virtual_server(&format!("172.25.254.100 {port}"), &format!("    protocol TCP\n    lb_algo rr\n{words}\n"), &real);
    };
    for method in ["dr", "tun", "xx", "TUN type gue", "TUN type gre remcsum", "TUN type ipip csum", "TUN type gue port 0", "TUN csum"] {
        add(&format!("    lb_kind {method}"));
    }
    for words in [
        "TUN type gue csum port 6080",
        "DR\n    persistence_engine sip",
        "DR\n    persistence_timeout 0",
        "DR\n    persistence_granularity 0.0.0.0",
        "DR\n    lb_algo mh\n    sh-port",
        "DR\n    sh-port\n    lb_algo sh",
        "DR\n    ops",
        "DR\n    quorum 4294967295",
    ] {
        add(&format!("    lb_kind {words}"));
    }
    let (nat, six) = ("    lb_algo rr\n    lb_kind NAT\n    protocol TCP\n", real_server("fd00:25::120 80", ""));
    // A mark's servers keep their ports where ports can be changed; one packet scheduling needs no UDP there.
    config += &virtual_server("fwmark 5", nat, &(real.clone() + &real_server("172.25.254.120 8080", "")));
    config += &virtual_server("fwmark 6", "    lb_algo rr\n    lb_kind DR\n    ops\n", &real_server("172.25.254.110", ""));
    // Of the other family, and so without a server; by a mask that its family has not.
    config += &virtual_server("172.25.254.101 80", PLAIN, &six);
    config += &virtual_server("fwmark 7", "    lb_algo rr\n    lb_kind DR\n    ip_family inet\n", &six);
    let mask = "    lb_algo rr\n    lb_kind DR\n    protocol TCP\n    persistence_timeout 30\n    persistence_granularity 255.255.255.0\n";
    config += &virtual_server("fd00:25::100 80", mask, &six);
    // Groups: of every port, for two protocols, of two families.
    config += "virtual_server_group EVERY {\n    172.25.254.150\n}\nvirtual_server_group TWO {\n    172.25.254.151 53\n}\n";
    config += "virtual_server_group BOTH {\n    172.25.254.152 80\n    fd00:25::152 80\n}\n";
    config += "virtual_server_group MARKS {\n    fwmark 11 inet\n    fwmark 12 inet6\n    fwmark 13\n}\n";
    config += &virtual_server("group EVERY", nat, &real);
    config += &virtual_server("group TWO", nat, &real);
    config += &virtual_server("group TWO", &nat.replace("TCP", "UDP"), &real);
    config += &virtual_server("group BOTH", nat, &(real.clone() + &six));
    config += &virtual_server("group MARKS", &nat.replace("NAT", "TUN"), &real);
    // The same twice: the servers of both serve.
    config += &virtual_server("172.25.254.102 80", nat, &real);
    config += &virtual_server("172.25.254.102 80", nat, &real_server("172.25.254.120 80", ""));
    beside(&config, |house, _, _| become_the_same(house, 45));
}

#[test]
fn what_the_kernel_refuses_is_told_once_and_the_rest_is_served() {
    if !promised_by_ours() {
        return;
    }
    house(|house| {
        let ka1 = house.host("ka1");
        // No kernel has this persistence engine, and no server may have the lower threshold above the upper one.
        let words = "    lb_algo rr\n    lb_kind DR\n    protocol TCP\n";
        let odd = virtual_server(
            "172.25.254.100 81",
            &format!("{words}    persistence_timeout 9\n    persistence_engine no\n"),
            &real_server("172.25.254.110 81", ""),
        );
        let limits =
            real_server("172.25.254.110 82", "        uthreshold 5\n        lthreshold 10\n") + &real_server("172.25.254.120 82", "");
        let config = odd
            + &virtual_server("172.25.254.100 82", words, &limits)
            + &virtual_server("172.25.254.100 80", words, &real_server("172.25.254.110 80", ""));
        let daemon = start(ka1, &config);
        let wanted =
            ["-> 172.25.254.110:80 Route 1", "-> 172.25.254.120:82 Route 1", "TCP 172.25.254.100:80 rr", "TCP 172.25.254.100:82 rr"];
        let sorted = || {
            let mut found = rows(ka1);
            found.sort();
            found
        };
        house.lab.wait("what can be served", PATIENCE, || sorted() == wanted).unwrap();
        // Several looks at the table later nothing further has been said.
        std::thread::sleep(secs(4));
        let log = daemon.log();
        assert_eq!(log.matches("IPVS error").count(), 2, "{log}");
        assert_eq!(log.matches("not found ([172.25.254.100]:tcp:81): it needs the kernel's ip_vs_rr and ip_vs_pe_no").count(), 1, "{log}");
        assert_eq!(log.matches("([172.25.254.100]:tcp:82 -> [172.25.254.110]:82)").count(), 1, "{log}");
        assert!(!log.contains("somebody else"), "{log}");
    });
}
