use crate::check::Kind;
use crate::config::load_text;
use crate::lvs::settings::{Address, Balancer, Forwarding, GroupEntry};
use crate::lvs::table::keys;
use crate::types::Family;
use std::time::Duration;

fn read(text: &str) -> (Balancer, Vec<String>) {
    let loaded = load_text(text);
    (loaded.config.lvs, loaded.report.diagnostics().iter().map(|found| found.message.clone()).collect())
}

#[test]
fn the_tutorial_is_read_as_printed() {
    let (lvs, said) = read(
        "virtual_server 172.25.254.100 80 {\n delay_loop 6\n lb_algo wrr\n lb_kind DR\n #persistence_timeout 50\n protocol TCP\n\n \
         real_server 172.25.254.110 80 {\n weight 1\n HTTP_GET {\n url {\n path /\n status_code 200\n }\n connect_timeout 3\n \
         nb_get_retry 2\n delay_before_retry 2\n }\n }\n}\n",
    );
    let server = &lvs.servers[0];
    assert_eq!(server.to_string(), "[172.25.254.100]:tcp:80");
    assert_eq!((server.service.scheduler.as_str(), server.real_servers[0].forwarding), ("wrr", Forwarding::Direct));
    let checker = &server.real_servers[0].checkers[0];
    let Kind::Http(http) = &checker.kind else { panic!("HTTP_GET") };
    assert_eq!((http.urls[0].path.as_str(), &http.urls[0].status[..]), ("/", &[(200, 200)][..]));
    assert_eq!((checker.timing.retry, checker.timing.delay_before_retry), (2, Duration::from_secs(2)));
    assert_eq!((checker.timing.delay_loop, checker.timing.warmup), (Duration::from_secs(6), Duration::from_secs(6)));
    assert_eq!(checker.target.connect_timeout, Duration::from_secs(3));
    assert_eq!(said, ["nb_get_retry is deprecated - please use 'retry'"]);
}

#[test]
fn odd_lines_of_tutorials_are_explained_and_the_service_works() {
    let (lvs, said) = read(
        "virtual_server 10.0.0.1 443 {\n protocol TCP\n lb_algo rr\n lb_kind DR\n nat_mask 255.255.255.0\n \
         persistence_timeout 0\n real_server 10.0.0.7 443 {\n }\n real_server 10.0.0.8 443 { }\n}\n",
    );
    assert_eq!(lvs.servers[0].real_servers.len(), 2);
    assert_eq!(lvs.servers[0].service.persistence, None);
    assert!(said.iter().any(|line| line.contains("nat_mask")), "{said:?}");
    assert!(said.iter().any(|line| line.contains("outside range [1, 2678400]")), "{said:?}");
}

#[test]
fn quorum_and_ports_are_corrected_in_the_originals_words() {
    let (lvs, said) = read(
        "virtual_server fwmark 7 {\n lb_algo rr\n lb_kind TUN\n quorum 9\n hysteresis 5\n sorry_server 10.0.0.9 80\n \
         real_server 10.0.0.4 80 {\n weight 2\n }\n}\n",
    );
    let server = &lvs.servers[0];
    assert_eq!((server.quorum, server.hysteresis, server.real_servers[0].port), (2, 1, 0));
    for line in [
        "WARNING - fwmark virtual server FWM 7, real server [10.0.0.4]:none:80 has port specified - clearing",
        "WARNING - fwmark virtual server FWM 7, sorry server has port specified - port will be ignored",
        "Warning - quorum 9 for FWM 7 exceeds total weight of real servers 2, reducing quorum to 2",
        "Virtual server FWM 7: hysteresis 5 >= quorum 2; setting hysteresis to 1",
    ] {
        assert!(said.iter().any(|other| other == line), "{line}: {said:?}");
    }
}

#[test]
fn groups_are_ranges_networks_and_marks() {
    let (lvs, said) = read(
        "virtual_server_group G1 {\n 10.9.9.1 80\n 10.9.9.2-4 81\n 10.9.10.0/30 82\n fwmark 5\n}\n\
         virtual_server group G1 {\n protocol TCP\n lb_algo sh\n lb_kind NAT\n real_server 127.0.0.4 81 {\n TCP_CHECK {\n }\n }\n}\n",
    );
    assert_eq!(said, Vec::<String>::new());
    assert_eq!(keys(&lvs.servers[0]).len(), 1 + 3 + 4 + 1);
}

#[test]
fn the_same_service_twice_is_refused() {
    let one = "virtual_server 10.0.0.1 80 {\n protocol TCP\n lb_algo rr\n lb_kind NAT\n real_server 10.0.0.4 80 {\n }\n}\n";
    let (lvs, said) = read(&format!("{one}{one}"));
    assert_eq!((lvs.servers.len(), said.len()), (1, 1), "{said:?}");
}

#[test]
fn the_sync_daemon_of_an_instance_has_its_number_but_in_the_old_form() {
    let instance = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n lvs_sync_daemon_interface eth1\n virtual_ipaddress {\n 10.0.0.1\n }\n}\n";
    let (lvs, _) = read(instance);
    let (daemon, follows) = lvs.sync.unwrap();
    assert_eq!((daemon.interface.as_str(), daemon.id, follows.as_deref()), ("eth1", 0, Some("VI_1")));
    let (lvs, _) = read(&format!("global_defs {{\n lvs_sync_daemon eth0 VI_1\n}}\n{instance}"));
    assert_eq!(lvs.sync.map(|(daemon, _)| daemon.id), Some(51));
    let (lvs, _) = read(&format!("global_defs {{\n lvs_sync_daemon eth0 inst VI_1 id 9 ttl 3\n}}\n{instance}"));
    let (daemon, follows) = lvs.sync.unwrap();
    assert_eq!((daemon.interface.as_str(), daemon.id, daemon.ttl, follows.as_deref()), ("eth0", 9, Some(3), Some("VI_1")));
}

#[test]
fn the_first_sync_daemon_counts_and_what_makes_no_sense_in_its_line_is_left_out() {
    let instance = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n lvs_sync_daemon_interface eth1\n virtual_ipaddress {\n 10.0.0.1\n }\n}\n";
    let sync = |lines: &str| {
        let (lvs, said) = read(&format!("global_defs {{\n{lines}\n}}\n{}", instance.replace("lvs_sync_daemon_interface eth1\n", "")));
        (lvs.sync.map(|(daemon, follows)| (daemon.id, daemon.max_length, daemon.group, follows)), said)
    };
    let follows = Some("VI_1".to_owned());
    let (found, said) = sync("lvs_sync_daemon eth0 VI_1 id 3\nlvs_sync_daemon eth0 VI_1 id 4");
    assert_eq!(found, Some((3, None, None, follows.clone())));
    assert_eq!(said, ["lvs_sync_daemon has already been specified as eth0 VI_1 - ignoring"]);
    let (found, said) = sync("lvs_sync_daemon eth0 VI_9 id 3");
    assert_eq!(found, None, "the original's words, and deed:");
    assert_eq!(said, ["Unable to find vrrp instance VI_9 for lvs_syncd - clearing lvs_syncd config"]);
    let (found, said) = sync("lvs_sync_daemon eth0 VI_1 7 maxlen 1000 group 10.0.0.1 foo");
    assert_eq!(found, Some((7, Some(1000), None, follows.clone())));
    assert_eq!(said.len(), 3, "{said:?}");
    let (found, said) = sync("lvs_sync_daemon eth0 inst VI_1 inst VI_2 id");
    assert_eq!(found, Some((51, None, None, follows)));
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(sync("lvs_sync_daemon eth0123456789abcd VI_1").0, None);
    let (lvs, said) = read(&format!(
        "{instance}{}",
        instance.replace("VI_1", "VI_2").replace("51", "52").replace("10.0.0.1", "10.0.0.2").replace("eth1", "eth2")
    ));
    assert_eq!(lvs.sync.map(|(daemon, follows)| (daemon.interface, follows)), Some(("eth1".to_owned(), Some("VI_1".to_owned()))));
    assert!(said.iter().any(|line| line == "(VI_2) lvs_sync_daemon_interface has already been specified as eth1 - ignoring"), "{said:?}");
}

#[test]
fn options_of_timeouts_and_of_flushing_count_one_by_one() {
    use crate::lvs::settings::{FlushOnStop, Timeouts};
    let timeouts = |words: &str| read(&format!("global_defs {{\n lvs_timeouts {words}\n}}\n")).0.timeouts;
    let of = |tcp, tcp_fin, udp| Some(Timeouts { tcp, tcp_fin, udp });
    assert_eq!(timeouts("tcp 5 foo 3 udp 9"), of(5, 0, 9));
    assert_eq!(timeouts("tcp 5 udp x"), of(5, 0, 0));
    assert_eq!([timeouts("tcp 5 tcp 6 udp"), timeouts("foo 3")], [of(6, 0, 0), None]);
    let before = Timeouts { tcp: 900, tcp_fin: 120, udp: 300 };
    assert_eq!(Timeouts { tcp: 200, ..Timeouts::default() }.or(before), Timeouts { tcp: 200, ..before });
    let flush = |words: &str| read(&format!("global_defs {{\n lvs_flush_onstop {words}\n}}\n")).0.flush_on_stop;
    assert_eq!([flush(""), flush("VS"), flush("vs")], [FlushOnStop::Everything, FlushOnStop::Ours, FlushOnStop::Not]);
}

#[test]
fn a_group_serves_what_of_it_nobody_else_serves() {
    let groups = "virtual_server_group G {\n 10.0.0.99-101 80\n}\nvirtual_server_group H {\n 10.0.0.100-104 80\n fwmark 3\n}\n";
    let server =
        |head: &str| format!("virtual_server {head} {{\n lb_algo rr\n lb_kind DR\n protocol TCP\n real_server 10.0.1.1 80 {{\n }}\n}}\n");
    let all = [groups, &server("group G"), &server("10.0.0.103 80"), &server("group H"), &server("10.0.0.99 80")].concat();
    let (lvs, said) = read(&all);
    let range = |first: u8, last: u8| GroupEntry::Range { first: [10, 0, 0, first].into(), last: [10, 0, 0, last].into(), port: 80 };
    let rest = Address::Group("H".to_owned(), vec![range(102, 102), range(104, 104), GroupEntry::Mark(3, None)]);
    assert_eq!(lvs.servers.len(), 3, "{said:?}");
    assert_eq!(lvs.servers[2].address, rest);
    assert_eq!(said.iter().filter(|line| line.ends_with("is in another virtual_server already")).count(), 2, "{said:?}");
}

#[test]
fn a_mask_of_persistence_is_any_and_a_number_is_a_length() {
    use crate::lvs::settings::Granularity;
    let of = |word: &str| {
        let words = format!("persistence_timeout 50\n persistence_granularity {word}");
        let (lvs, said) = read(&format!(
            "virtual_server 10.0.0.9 80 {{\n lb_algo rr\n lb_kind DR\n protocol TCP\n {words}\n real_server 10.0.1.1 80 {{\n }}\n}}\n"
        ));
        (lvs.servers[0].service.granularity.map(|granularity| granularity.in_kernel(Family::V4)), said.len())
    };
    assert_eq!(of("255.0.255.0"), (Some(0xff00_ff00), 0));
    assert_eq!(of("24"), (Some(0xffff_ff00), 1), "told");
    assert_eq!([of("x"), of("0")], [(None, 1), (Some(0), 0)]);
    assert_eq!(Granularity::whole(Family::V6).in_kernel(Family::V6), 128);
}

#[test]
fn a_slip_in_a_word_of_a_fixed_set_is_told_with_what_was_meant() {
    let meant = |line: &str| {
        let loaded = load_text(&format!("virtual_server 10.0.0.9 80 {{\n {line}\n real_server 10.0.1.1 80 {{\n }}\n}}\n"));
        let found: Vec<_> = loaded.report.diagnostics().iter().filter_map(|found| found.help.clone()).collect();
        found.iter().find_map(|help| Some(help.strip_prefix("did you mean '")?.strip_suffix("'?")?.to_owned()))
    };
    for (line, word) in [
        ("lb_algo wwr", "wrr"),
        ("lb_kind DRR", "DR"),
        ("lb_kind dr", "DR"),
        ("lvs_method TUNN", "TUN"),
        ("protocol TPC", "TCP"),
        ("ip_family inet66", "inet6"),
    ] {
        assert_eq!(meant(line).as_deref(), Some(word), "{line}");
    }
    assert_eq!(meant("lb_algo something"), None);
}

#[test]
fn suspension_needs_addresses_alone() {
    let inner = " lb_algo rr\n lb_kind DR\n protocol TCP\n ha_suspend\n real_server 10.0.0.4 80 {\n }\n}\n";
    let group = "virtual_server_group G {\n 10.0.0.9 80\n fwmark 7\n}\n";
    for head in ["virtual_server fwmark 7", &format!("{group}virtual_server group G")] {
        let (lvs, said) = read(&format!("{head} {{\n{inner}"));
        assert!(!lvs.servers[0].ha_suspend);
        assert!(said.iter().any(|line| line.ends_with(": cannot use ha_suspend with fwmarks - clearing ha_suspend")), "{said:?}");
    }
    assert!(read(&format!("virtual_server 10.0.0.9 80 {{\n{inner}")).0.servers[0].ha_suspend);
}

#[test]
fn relics_are_warnings_that_say_what_they_were() {
    let loaded = load_text(
        "virtual_server 10.0.0.1 80 {\n lb_algo rr\n lb_kind NAT\n nat_mask 255.255.255.0\n persistence_timeout 0\n protocol TCP\n real_server 10.0.0.2 80 {\n connect_port 80\n }\n}\n",
    );
    assert!(!loaded.report.refuses_reload(), "{:?}", loaded.report.diagnostics());
    let said: Vec<_> = loaded.report.diagnostics().iter().map(|found| found.message.clone()).collect();
    assert!(said.iter().any(|line| line.starts_with("'nat_mask' is ignored: netmask of NAT")), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("'connect_port' is ignored: it belongs in the checker's block")), "{said:?}");
}

#[test]
fn scripts_files_and_hosts_are_checkers() {
    let (lvs, said) = read(
        "track_file load {\n file /run/load\n weight 3 reverse\n}\n\
         virtual_server 10.0.0.1 25 {\n lb_algo rr\n lb_kind DR\n protocol TCP\n delay_loop 7\n quorum_down \"/q down\" nobody\n \
         real_server 10.0.0.2 25 {\n notify_down /down\n MISC_CHECK {\n misc_path \"/m 'a b'\"\n misc_dynamic\n user nobody\n }\n \
         FILE_CHECK {\n track_file load\n }\n SMTP_CHECK {\n host {\n connect_ip 10.0.0.8\n connect_timeout 2\n }\n host {\n connect_port 587\n }\n helo_name me\n retry 4\n }\n }\n}\n",
    );
    assert_eq!(said, ["The SMTP_CHECK host block is deprecated. Please define additional checkers."]);
    let server = &lvs.servers[0];
    assert_eq!(server.quorum_down.as_ref().unwrap().to_string(), "'/q' 'down'");
    let real = &server.real_servers[0];
    assert_eq!(real.notify_down.as_ref().unwrap().to_string(), "'/down'");
    let Kind::Misc(script) = &real.checkers[0].kind else { panic!("{:?}", real.checkers) };
    assert_eq!((script.command.to_string().as_str(), script.timeout, script.dynamic), ("'/m' 'a b'", Duration::from_secs(7), true));
    assert!(matches!(&real.checkers[1].kind, Kind::File(file) if file.name == "load" && file.weight == 3 && file.reverse));
    let [_, _, one, two] = real.checkers.as_slice() else { panic!("{:?}", real.checkers) };
    assert_eq!((one.target.address.to_string().as_str(), one.target.port, one.timing.retry), ("10.0.0.8", 25, 4));
    assert_eq!((two.target.address.to_string().as_str(), two.target.port, two.timing.retry), ("10.0.0.2", 587, 4));
}

#[test]
fn words_of_a_connection_beside_a_host_block_are_one_more_host() {
    let (lvs, _) = read(
        "virtual_server 10.0.0.1 25 {\n lb_algo rr\n lb_kind DR\n protocol TCP\n real_server 10.0.0.2 25 {\n \
         SMTP_CHECK {\n connect_timeout 2\n host {\n connect_port 587\n }\n }\n }\n}\n",
    );
    let ports: Vec<u16> = lvs.servers[0].real_servers[0].checkers.iter().map(|checker| checker.target.port).collect();
    assert_eq!(ports, [25, 587]);
}

#[test]
fn an_address_to_bind_of_the_other_family_is_left_out() {
    let (lvs, said) = read(
        "virtual_server 10.0.0.1 25 {\n lb_algo rr\n lb_kind DR\n protocol TCP\n real_server 10.0.0.2 25 {\n \
         TCP_CHECK {\n bindto ::1\n }\n }\n}\n",
    );
    assert_eq!(lvs.servers[0].real_servers[0].checkers[0].target.bind, None);
    assert_eq!(said, ["bindto address ::1 does not match address family of connect_ip - skipping"]);
}

#[test]
fn equal_settings_of_neighbours_are_held_once_on_both_sides_of_a_pipe() {
    let real = |last, path| format!("real_server 10.0.1.{last} 80 {{\n HTTP_GET {{\n url {{\n path {path}\n }}\n }}\n}}\n");
    let reals = [real(1, "/"), real(2, "/"), real(3, "/other"), real(4, "/other")].concat();
    let text = format!("virtual_server 10.0.0.1 80 {{\n lb_algo rr\n lb_kind DR\n protocol TCP\n{reals}}}\n");
    let load = || read(&text).0;
    let (plain, mut shared) = (load(), load());
    shared.share_settings();
    let mut sent: Balancer = postcard::from_bytes(&postcard::to_stdvec(&shared).unwrap()).unwrap();
    sent.share_settings();
    for balancer in [shared, sent] {
        let settings: Vec<_> = balancer.servers[0].real_servers.iter().map(|real| real.checkers[0].kind.clone()).collect();
        let same =
            |one: &Kind, other: &Kind| matches!((one, other), (Kind::Http(one), Kind::Http(other)) if std::sync::Arc::ptr_eq(one, other));
        let neighbours: Vec<bool> = settings.windows(2).map(|pair| same(&pair[0], &pair[1])).collect();
        assert_eq!(neighbours, [true, false, true]);
        assert_eq!(balancer, plain);
    }
}
