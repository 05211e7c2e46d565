//! BFD on the real kernel: sessions with our own daemon, with Debian's keepalived and with frr's bfdd; VRRP that follows them;
//! a child that dies, a reload, and what strangers see.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::*;
use std::path::Path;

const HOSTS: &[&str] = &["ka1", "ka2", "client"];
const ORIGINAL: &str = "/usr/sbin/keepalived";
const DATA: &str = "/tmp/keepalived_bfd.data";

/// The two ends' addresses.
fn ends(lab: &Lab, here: &str, there: &str, v6: bool) -> (IpAddr, IpAddr) {
    let of = |name: &str| if v6 { lab.host(name).ipv6().into() } else { lab.host(name).ipv4().into() };
    (of(here), of(there))
}

/// A session called `peer`: 100 ms both ways, gone after a second and a half.
fn session((here, there): (IpAddr, IpAddr), more: &str) -> String {
    format!("bfd_instance peer {{\n neighbor_ip {there}\n source_ip {here}\n min_rx 100\n min_tx 100\n multiplier 15\n {more}\n}}\n")
}

/// A router of priority 90, 110 with the session up.
fn follower(session: &str, track: &str) -> String {
    format!("{session}{}", fast_with(90, &format!("track_bfd {{\n {track}\n }}")))
}

fn state_of(host: &Host) -> Option<String> {
    let data = host.read(DATA)?;
    data.lines().find_map(|line| line.trim().strip_prefix("local state = ").map(str::to_owned))
}

/// ka1 follows its session with the client; ka2 is the other router. The client is cut off and comes back.
fn vrrp_follows(programs: [&str; 2], v6: bool) {
    if programs.contains(&ORIGINAL) && !Path::new(ORIGINAL).exists() {
        return skip("Debian's keepalived is not installed");
    }
    laboratory(HOSTS, |lab| {
        let (ka1, client) = (lab.host("ka1"), lab.host("client"));
        ka1.write(CONF, follower(&session(ends(lab, "ka1", "client", v6), ""), "peer weight 20")).unwrap();
        client.write(CONF, session(ends(lab, "client", "ka1", v6), "")).unwrap();
        let args = ["-n", "-l", "-D"];
        let first = start_as(ka1, programs[0], &args);
        let _second = start(lab.host("ka2"), &fast(100));
        only(lab, "ka2", VIP, secs(10));
        let far = start_as(client, programs[1], &args);
        wait_log(lab, &first, "(peer) Entering Up state", secs(20));
        wait_log(lab, &first, "VRRP_Instance(VI_1) Tracked BFD instance peer is UP", secs(10));
        wait_log(lab, &far, "(peer) Entering Up state", secs(20));
        only(lab, "ka1", VIP, secs(10));
        lab.set_isolated("client", true).unwrap();
        wait_log(lab, &first, "(peer) Expired after 1500 ms", secs(20));
        wait_log(lab, &first, "Tracked BFD instance peer is DOWN", secs(10));
        only(lab, "ka2", VIP, secs(10));
        wait_log(lab, &far, "(peer) Entering Down state (Local diagnostic - Control Detection Time Expired", secs(20));
        lab.set_isolated("client", false).unwrap();
        only(lab, "ka1", VIP, secs(30));
    });
}

#[test]
fn vrrp_follows_a_session_with_our_own() {
    vrrp_follows(["keepalived", "keepalived"], false);
}

#[test]
fn vrrp_follows_a_session_with_our_own_over_ipv6() {
    vrrp_follows(["keepalived", "keepalived"], true);
}

#[test]
fn vrrp_follows_a_session_with_the_original() {
    vrrp_follows(["keepalived", ORIGINAL], false);
}

#[test]
fn vrrp_follows_a_session_with_the_original_over_ipv6() {
    vrrp_follows(["keepalived", ORIGINAL], true);
}

#[test]
fn the_originals_vrrp_follows_a_session_with_ours() {
    vrrp_follows([ORIGINAL, "keepalived"], false);
}

/// frr's zebra and bfdd on a host.
fn start_frr(host: &Arc<Host>, lines: &str) -> [Daemon; 2] {
    host.sh("mkdir -p /run/frr && sed -i 's/^frrvty:.*/frrvty:x:8766:root/' /etc/group").unwrap();
    host.write("/run/frr/zebra.conf", "hostname zebra\n").unwrap();
    host.write("/run/frr/bfdd.conf", lines).unwrap();
    let common = ["-z", "/run/frr/zserv.api", "--vty_socket", "/run/frr", "-u", "root", "-g", "root", "-P", "0", "--log", "stdout"];
    let begin = |name: &str, more: &[&str]| {
        let (config, pid) = (format!("/run/frr/{name}.conf"), format!("/run/frr/{name}.pid"));
        start_as(host, &format!("/usr/lib/frr/{name}"), &[&["-f", &config, "-i", &pid][..], &common, more].concat())
    };
    let zebra = begin("zebra", &[]);
    lab::until("zebra's socket", secs(10), || host.exists("/run/frr/zserv.api")).unwrap();
    [zebra, begin("bfdd", &["--bfdctl", "/run/frr/bfdd.sock"])]
}

fn against_frr(v6: bool, passive: bool) {
    if !Path::new("/usr/lib/frr/bfdd").exists() {
        return skip("frr is not installed");
    }
    laboratory(HOSTS, |lab| {
        let (here, there) = ends(lab, "ka1", "client", v6);
        // frr takes no packet with fewer hops left (RFC 5881 §5).
        let own = session((here, there), if v6 { "hoplimit 255" } else { "" });
        let first = start(lab.host("ka1"), &follower(&own, "peer weight 20"));
        let _second = start(lab.host("ka2"), &fast(100));
        only(lab, "ka2", VIP, secs(10));
        let mode = if passive { "  passive-mode\n" } else { "" };
        let [_zebra, mut bfdd] = start_frr(
            lab.host("client"),
            &format!(
                "bfd\n peer {here} local-address {there}\n  detect-multiplier 15\n  receive-interval 100\n  transmit-interval 100\n{mode}  no shutdown\n !\n!\n"
            ),
        );
        wait_log(lab, &first, "(peer) Entering Up state", secs(30));
        only(lab, "ka1", VIP, secs(10));
        wait_log(lab, &first, "Detection time is 1500000 us", secs(20));
        bfdd.kill_all();
        wait_log(lab, &first, "(peer) Expired after 1500 ms", secs(20));
        only(lab, "ka2", VIP, secs(10));
    });
}

#[test]
fn frr() {
    against_frr(false, false);
}

#[test]
fn frr_over_ipv6_waiting_to_be_spoken_to() {
    against_frr(true, true);
}

/// ka1 and the client with a session that is up: what each logs from then on.
fn up(lab: &Lab, config: &str, there: &str) -> (Daemon, Daemon) {
    let first = start(lab.host("ka1"), config);
    let far = start(lab.host("client"), there);
    wait_log(lab, &first, "(peer) Entering Up state", secs(20));
    wait_log(lab, &far, "(peer) Entering Up state", secs(20));
    (first, far)
}

fn bfd_child(host: &Host) -> Option<Process> {
    host.process_of_file("/run/bfd.pid")
}

#[test]
fn the_child_that_dies_is_replaced_and_neither_neighbour_nor_vrrp_notices() {
    laboratory(HOSTS, |lab| {
        if !promised_by_ours() {
            return;
        }
        let ka1 = lab.host("ka1");
        let config = follower(&session(ends(lab, "ka1", "client", false), "multiplier 60"), "peer");
        let (first, far) = up(lab, &config, &session(ends(lab, "client", "ka1", false), "multiplier 60"));
        only(lab, "ka1", VIP, secs(10));
        let old = bfd_child(ka1).unwrap();
        lab::send(old.pid, Signal::SIGKILL).unwrap();
        lab.wait("another child", secs(20), || bfd_child(ka1).is_some_and(|new| new.pid != old.pid)).unwrap();
        wait_log(lab, &first, "BFD child process(", secs(10));
        first.signal(Signal::SIGUSR1).unwrap();
        lab.wait("the successor's session", secs(20), || state_of(ka1).as_deref() == Some("Up")).unwrap();
        // Longer than the detection time: it really sends, and listens.
        never(lab, "the session goes down", secs(7), || far.log().contains("Entering Down") || first.log().contains("Entering Down"));
        assert!(ka1.has(VIP) && !first.log().contains("Tracked BFD instance peer is DOWN"), "{}", first.log());
        lab.set_isolated("client", true).unwrap();
        wait_log(lab, &first, "(peer) Expired after 6000 ms", secs(30));
        wait_log(lab, &first, "(VI_1) Entering FAULT STATE", secs(10));
    });
}

#[test]
fn a_reload_leaves_alone_what_it_does_not_change_and_negotiates_the_rest() {
    laboratory(HOSTS, |lab| {
        let addresses = ends(lab, "ka1", "client", false);
        let config = |more: &str| follower(&session(addresses, more), "peer");
        let (first, far) = up(lab, &config(""), &session(ends(lab, "client", "ka1", false), ""));
        only(lab, "ka1", VIP, secs(10));
        reload(lab.host("ka1"), &first, &config(""));
        wait_log(lab, &first, "Reload complete", secs(10));
        reload(lab.host("ka1"), &first, &config("min_rx 300\n min_tx 200"));
        wait_log(lab, &far, "Detection time is 3000000 us", secs(20));
        wait_log(lab, &first, "Detection time is 4500000 us", secs(20));
        assert!(!first.log().contains("Entering Down") && !far.log().contains("Entering Down"), "{}", lab.logs());
        assert!(lab.host("ka1").has(VIP));
        // Another name is another session, and no session no process.
        let renamed = config("").replace("peer", "other");
        reload(lab.host("ka1"), &first, &renamed);
        wait_log(lab, &first, "(other) Entering Up state", secs(20));
        wait_log(lab, &far, "(peer) Entering Down state", secs(20));
        reload(lab.host("ka1"), &first, &fast(100));
        lab.wait("no BFD process", secs(20), || bfd_child(lab.host("ka1")).is_none()).unwrap();
        only(lab, "ka1", VIP, secs(10));
        reload(lab.host("ka1"), &first, &config(""));
        lab.wait("a BFD process", secs(20), || bfd_child(lab.host("ka1")).is_some()).unwrap();
        wait_log(lab, &first, "(peer) Entering Up state", secs(20));
    });
}

#[test]
fn a_packet_from_further_away_than_max_hops_counts_for_nothing() {
    laboratory(HOSTS, |lab| {
        let first = start(lab.host("ka1"), &session(ends(lab, "ka1", "client", false), "max_hops 2"));
        let near = start(lab.host("client"), &session(ends(lab, "client", "ka1", false), "ttl 252\n max_hops 9"));
        if ours() {
            wait_log(lab, &first, "TTL 252 is less than 253", secs(20));
        }
        never(lab, "the session comes up", secs(3), || first.log().contains("Entering Up"));
        reload(lab.host("client"), &near, &session(ends(lab, "client", "ka1", false), "ttl 253\n max_hops 9"));
        wait_log(lab, &first, "(peer) Entering Up state", secs(20));
    });
}

#[test]
fn the_child_has_no_capability_and_the_name_and_files_that_people_know() {
    laboratory(HOSTS, |lab| {
        let ka1 = lab.host("ka1");
        let config = format!("global_defs {{\n process_names\n bfd_priority 5\n}}\n{}", session(ends(lab, "ka1", "client", false), ""));
        let (first, _far) = up(lab, &config, &session(ends(lab, "client", "ka1", false), "passive"));
        let child = bfd_child(ka1).unwrap();
        assert_eq!(child.status("Name").unwrap(), "keepalived_bfd");
        first.signal(Signal::SIGUSR1).unwrap();
        lab.wait("the dump", secs(10), || state_of(ka1).as_deref() == Some("Up")).unwrap();
        let data = ka1.read(DATA).unwrap();
        for line in [" BFD Instance = peer", "   Neighbor IP = ", "   Detection multiplier = 15", "   local detection time = 1500000 us"] {
            assert!(data.contains(line), "{line}: {data}");
        }
        if ours() {
            for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
                assert_eq!(child.status(set).unwrap(), "0000000000000000", "{set}");
            }
            assert_eq!((child.status("NoNewPrivs").unwrap().as_str(), child.status("Seccomp").unwrap().as_str()), ("1", "2"));
        }
        let nice = std::fs::read_to_string(format!("/proc/{}/stat", child.pid)).unwrap();
        let nice = nice.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().to_owned();
        assert_eq!(nice, "5");
    });
}

#[test]
fn without_bfd_no_process_and_a_session_that_is_tracked_is_down() {
    laboratory(HOSTS, |lab| {
        let ka1 = lab.host("ka1");
        ka1.write(CONF, follower(&session(ends(lab, "ka1", "client", false), ""), "peer")).unwrap();
        let first = start_as(ka1, "keepalived", &["-n", "-l", "-D", "-B"]);
        wait_log(lab, &first, "Startup complete", secs(10));
        lab.wait("FAULT", secs(10), || first.log().to_lowercase().contains("(vi_1) entering fault state")).unwrap();
        assert!(bfd_child(ka1).is_none());
    });
}

#[test]
fn a_sync_group_tracks_for_all_its_members() {
    laboratory(HOSTS, |lab| {
        let other = Instance { name: "VI_2", vrid: 52, priority: 90, addresses: &["172.25.254.200/24"], ..Instance::default() };
        let group = "vrrp_sync_group G {\n group {\n VI_1\n VI_2\n }\n track_bfd {\n peer\n }\n}\n";
        let config = format!("{}{}{other}{group}", session(ends(lab, "ka1", "client", false), ""), fast(90));
        let (first, _far) = up(lab, &config, &session(ends(lab, "client", "ka1", false), ""));
        only(lab, "ka1", VIP, secs(10));
        only(lab, "ka1", VIP2, secs(10));
        lab.set_isolated("client", true).unwrap();
        wait_log(lab, &first, "(peer) Entering Down state", secs(20));
        nobody(lab, VIP, secs(10));
        nobody(lab, VIP2, secs(10));
    });
}
