//! Unfit nodes give the address away, and people hear of it: the tutorials' checks with the real haproxy and nginx.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::*;
use std::process::{Child, Stdio};

const HOSTS: &[&str] = &["ka1", "ka2", "client"];
/// As root, as the tutorials' checks need it.
const AS_ROOT: &str = "global_defs {\n    script_user root\n}\n";

fn zty(priority: u8) -> String {
    let script = "vrrp_script check_zty {\n    script \"/mnt/check_zty.sh\"\n    interval 1\n    weight -30\n    fall 2\n    rise 2\n    timeout 2\n}\n";
    format!("{AS_ROOT}{script}{}", fast_with(priority, "track_script {\n        check_zty\n    }"))
}

#[test]
fn seed_a_file_that_is_touched_moves_the_address_and_removed_brings_it_back() {
    laboratory(HOSTS, |lab| {
        for host in ["ka1", "ka2"] {
            lab.host(host).write_script("/mnt/check_zty.sh", "#!/bin/bash\n[ ! -f /mnt/zty ]\n").unwrap();
        }
        let first = start(lab.host("ka1"), &zty(100));
        let _second = start(lab.host("ka2"), &zty(80));
        only(lab, "ka1", VIP, secs(10));
        let touched = lab::now();
        lab.host("ka1").write("/mnt/zty", "").unwrap();
        let moved = only(lab, "ka2", VIP, secs(8));
        assert!(moved.since(touched) > millis(900), "one failure is not two");
        if ours() {
            wait_log(lab, &first, "base 100, check_zty -30 -> 70", secs(1));
        }
        lab.host("ka1").sh("rm /mnt/zty").unwrap();
        only(lab, "ka1", VIP, secs(8));
        assert!(answers(lab, VIP));
    });
}

/// A server that ends with the test: one that is dead and not waited for would keep its host from ending.
struct Server(Child);

impl Server {
    fn start(host: &Host, program: &str, args: &[&str]) -> Self {
        let mut command = host.command(program);
        command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
        Self(host.spawn(command).unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn haproxy(host: &Host, name: &str) -> Server {
    host.write(
        "/run/haproxy.cfg",
        format!(
            "global\n maxconn 100\ndefaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n\
             frontend web\n bind 172.25.254.100:80\n http-request return status 200 content-type text/plain string {name}\n"
        ),
    )
    .unwrap();
    Server::start(host, "haproxy", &["-f", "/run/haproxy.cfg", "-db"])
}

fn page(lab: &Lab) -> String {
    lab.host("client").sh("curl -s --max-time 1 http://172.25.254.100/ || true").unwrap_or_default()
}

fn has_programs(programs: &[&str]) -> bool {
    let missing: Vec<&&str> = programs.iter().filter(|name| !std::path::Path::new(&format!("/usr/sbin/{name}")).exists()).collect();
    if !missing.is_empty() {
        skip(&format!("needs {missing:?}: apt-get install them"));
    }
    missing.is_empty()
}

#[test]
fn seed_haproxy_that_stops_on_the_master_leaves_the_service_with_the_other_node() {
    laboratory(HOSTS, |lab| {
        if !has_programs(&["haproxy"]) {
            return;
        }
        let check = "vrrp_script check_haproxy {\n    script \"/usr/bin/killall -0 haproxy\"\n    interval 1\n    weight -30\n    fall 2\n    rise 2\n    timeout 2\n}\n";
        let [ka1, ka2] = ["ka1", "ka2"].map(|name| lab.host(name));
        let config = |priority, own: &Host, other: &Host| {
            let unicast = format!("unicast_src_ip {}\n    unicast_peer {{\n        {}\n    }}", own.ipv4(), other.ipv4());
            let extra = format!("{unicast}\n    track_script {{\n        check_haproxy\n    }}");
            let instance = Instance { name: "VI_2", vrid: 52, priority, extra: &extra, ..Instance::default() };
            format!("{AS_ROOT}{check}{instance}")
        };
        for host in [ka1, ka2] {
            host.sh("echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind").unwrap();
        }
        let (first, _second) = (haproxy(ka1, "ka1"), haproxy(ka2, "ka2"));
        let daemons = (start(ka1, &config(100, ka1, ka2)), start(ka2, &config(80, ka2, ka1)));
        only(lab, "ka1", VIP, secs(10));
        lab.wait("the page of ka1", secs(5), || page(lab) == "ka1").unwrap();
        drop(first);
        only(lab, "ka2", VIP, secs(8));
        if ours() {
            wait_log(lab, &daemons.0, "(VI_2) effective priority: base 100, check_haproxy -30 -> 70", secs(5));
        }
        lab.wait("the page of ka2", secs(5), || page(lab) == "ka2").unwrap();
        let _again = haproxy(ka1, "ka1");
        only(lab, "ka1", VIP, secs(8));
        lab.wait("the page of ka1 again", secs(5), || page(lab) == "ka1").unwrap();
    });
}

#[test]
fn seed_a_check_by_signal_0_as_an_ordinary_user_says_why_it_fails() {
    laboratory(HOSTS, |lab| {
        if !promised_by_ours() || !nix::unistd::geteuid().is_root() {
            return;
        }
        let check = "vrrp_script check_haproxy {\n    script \"/usr/bin/killall -0 haproxy\"\n    interval 1\n    weight -30\n}\n";
        let daemon = start(lab.host("ka1"), &format!("{check}{}", fast_with(100, "track_script {\n        check_haproxy\n    }")));
        // Without the right to change user it runs as root, and there is nothing to explain.
        if !daemon.log().contains("Unprivileged") && lab.host("ka1").sh("id keepalived_script").is_ok() {
            wait_log(lab, &daemon, "vrrp_script check_haproxy: '/usr/bin/killall' sends signal 0 as user keepalived_script", secs(5));
        }
    });
}

#[test]
fn seed_nginx_that_stops_stops_the_daemon_with_the_printed_check_and_the_other_node_serves() {
    laboratory(HOSTS, |lab| {
        if !has_programs(&["nginx"]) {
            return;
        }
        let [ka1, ka2] = ["ka1", "ka2"].map(|name| lab.host(name));
        let nginx = |host: &Host| {
            host.write(
                "/run/nginx.conf",
                "daemon off;\nmaster_process off;\npid /run/nginx.pid;\nerror_log /run/nginx.log;\nevents {}\n\
                 http {\n access_log off;\n server {\n listen 80;\n location / { return 200 $hostname; }\n }\n}\n",
            )
            .unwrap();
            Server::start(host, "nginx", &["-c", "/run/nginx.conf"])
        };
        // As printed, but for the way the daemon is stopped: hosts of the laboratory have no systemctl.
        let check = "#!/bin/bash\nif ! killall -0 nginx; then\n    kill $(cat /run/keepalived.pid)\nfi\n";
        let config = |priority| {
            let script = "vrrp_script chk_nginx {\n    script \"/etc/keepalived/check_nginx.sh\"\n    interval 1\n    weight -20\n}\n";
            format!("{AS_ROOT}{script}{}", fast_with(priority, "nopreempt\n    track_script {\n        chk_nginx\n    }"))
        };
        for host in [ka1, ka2] {
            host.write_script("/etc/keepalived/check_nginx.sh", check).unwrap();
        }
        let (first, _second) = (nginx(ka1), nginx(ka2));
        let mut daemon = start(ka1, &config(100));
        only(lab, "ka1", VIP, secs(10));
        let _other = start(ka2, &config(80));
        lab.wait("a page", secs(5), || page(lab) == "ka1").unwrap();
        drop(first);
        only(lab, "ka2", VIP, secs(8));
        assert!(daemon.wait(secs(5)).unwrap().success());
        lab.wait("the other's page", secs(5), || page(lab) == "ka2").unwrap();
    });
}
