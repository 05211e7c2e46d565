use super::*;
use crate::config::load_text;

fn lines(old: &str, new: &str) -> Vec<String> {
    let config = |text: &str| load_text(text).config;
    plan(&config(old), &config(new)).iter().map(|step| format!("{:?} {step}", step.kind)).collect()
}

const PAIR: &str = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\npriority 100\nvirtual_ipaddress {\n10.0.0.1/24\n10.0.0.2/24 label eth0:a\n}\n}\n";

#[test]
fn the_same_configuration_is_no_step() {
    assert_eq!(lines(PAIR, PAIR), Vec::<String>::new());
}

#[test]
fn every_object_of_an_instance_is_named() {
    let new = PAIR.replace("priority 100", "priority 150\nadvert_int 2").replace("10.0.0.1/24", "10.0.0.3/24").replace("eth0:a", "eth0:b");
    assert_eq!(
        lines(PAIR, &new),
        [
            "Instance ~ A: advert_int: 1 s -> 2 s; priority: 100 -> 150; virtual_ipaddress: see the addresses; its state stays",
            "Address ~ 10.0.0.2/24 on eth0: label: eth0:a -> eth0:b",
            "Address + 10.0.0.3/24 on eth0: of A",
            "Address - 10.0.0.1/24 on eth0: of A",
        ]
    );
}

#[test]
fn an_instance_comes_with_its_sockets_and_goes_with_them() {
    let other = PAIR.replace("instance A", "instance B").replace("eth0", "eth1").replace("10.0.0", "10.0.1");
    let found = lines(PAIR, &format!("{PAIR}{other}"));
    assert_eq!(found[0], "Instance + B: eth1, virtual_router_id 1, IPv4, priority 100");
    assert!(
        found.contains(&"Socket + IPv4 VRRP on eth1".to_owned()) && found.contains(&"Membership + 224.0.0.18 on eth1".to_owned()),
        "{found:#?}"
    );
    let gone = lines(PAIR, "");
    assert!(gone[0].starts_with("Process - VRRP child") && gone.contains(&"Socket - IPv4 VRRP on eth0".to_owned()), "{gone:#?}");
}

#[test]
fn other_notify_scripts_are_named_by_their_keywords() {
    let with = |script: &str| PAIR.replace("priority 100", &format!("priority 100\nnotify_master {script}\nsmtp_alert off"));
    assert_eq!(lines(&with("/a"), &with("/b")), ["Notify ~ notify_master of A: /a -> /b"]);
    assert_eq!(lines(&with("/a"), &with("/a").replace("smtp_alert off", "smtp_alert on")), ["Notify ~ smtp_alert of A: off -> on"]);
}

#[test]
fn a_secret_is_not_shown() {
    let with = |word: &str| PAIR.replace("priority 100", &format!("authentication {{\nauth_type PASS\nauth_pass {word}\n}}"));
    assert_eq!(lines(&with("s3cret1"), &with("s3cret2")), ["Instance ~ A: authentication: changed; its state stays"]);
}

const SERVER: &str = "virtual_server 10.0.0.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nreal_server 10.1.0.1 80 {\nweight 1\nTCP_CHECK {\n}\n}\nreal_server 10.1.0.2 80 {\nTCP_CHECK {\n}\n}\n}\n";

#[test]
fn the_balancers_table_changes_entry_by_entry() {
    let new = SERVER.replace("weight 1", "weight 3").replace("lb_algo rr", "lb_algo wrr\nquorum 2").replace("10.1.0.2", "10.1.0.3");
    assert_eq!(
        lines(SERVER, &new),
        [
            "Service ~ [10.0.0.1]:tcp:80: rr -> wrr",
            "Destination ~ 10.1.0.1:80 of [10.0.0.1]:tcp:80: weight 1, NAT -> weight 3, NAT",
            "Destination + 10.1.0.3:80 of [10.0.0.1]:tcp:80: weight 1, NAT",
            "Destination - 10.1.0.2:80 of [10.0.0.1]:tcp:80",
            "Server ~ virtual_server 10.0.0.1 80 tcp: quorum: 1 -> 2",
            "Checker - TCP_CHECK of real_server 10.1.0.2 80 of virtual_server 10.0.0.1 80 tcp",
            "Checker + TCP_CHECK of real_server 10.1.0.3 80 of virtual_server 10.0.0.1 80 tcp",
        ]
    );
    let slower = SERVER.replacen("TCP_CHECK {\n", "TCP_CHECK {\ndelay_loop 5\n", 1);
    let found = lines(SERVER, &slower);
    assert!(
        found.len() == 1 && found[0].starts_with("Checker ~ TCP_CHECK of real_server 10.1.0.1 80") && found[0].contains("60 s -> 5 s"),
        "{found:#?}"
    );
}

#[test]
fn settings_and_what_needs_a_restart_are_told_apart() {
    let found = lines("", "global_defs {\nrouter_id x\n}\ninstance red\n");
    let stays = "cannot be changed by a reload: the old value stays until a restart";
    assert_eq!(
        found,
        [format!("Setting ! instance: {stays}"), format!("Setting ! use_pid_dir: {stays}"), "Setting ~ router_id: nothing -> x".to_owned()]
    );
}

#[test]
fn a_session_stays_up_when_it_is_the_same_one() {
    let session = |name: &str, neighbour: u8, lines: &str| format!("bfd_instance {name} {{\nneighbor_ip 10.0.0.{neighbour}\n{lines}\n}}\n");
    let (old, new) = (session("a", 2, "") + &session("b", 3, ""), session("a", 2, "min_rx 50") + &session("b", 4, ""));
    assert_eq!(
        lines(&old, &new),
        ["Session ~ a: min_rx: 0.01 s -> 0.05 s (it stays up)", "Session ~ b: neighbour: 10.0.0.3 -> 10.0.0.4 (it begins anew)",]
    );
    assert_eq!(lines("", &session("a", 2, "")), ["Process + BFD child: starts", "Session + a: with 10.0.0.2"]);
}
