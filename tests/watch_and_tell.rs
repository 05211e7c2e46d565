//! Unfit nodes give the address away, and people hear of it: the tutorials' checks with the real haproxy and nginx, and mail
//! to a sink.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::*;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

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
        let config = |priority| format!("{AS_ROOT}{check}{}", fast_with(priority, "track_script {\n        check_haproxy\n    }"));
        let [ka1, ka2] = ["ka1", "ka2"].map(|name| lab.host(name));
        for host in [ka1, ka2] {
            host.sh("echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind").unwrap();
        }
        let (first, _second) = (haproxy(ka1, "ka1"), haproxy(ka2, "ka2"));
        let _daemons = (start(ka1, &config(100)), start(ka2, &config(80)));
        only(lab, "ka1", VIP, secs(10));
        lab.wait("the page of ka1", secs(5), || page(lab) == "ka1").unwrap();
        drop(first);
        only(lab, "ka2", VIP, secs(8));
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

/// A mail server that takes everything.
struct Sink(Arc<Mutex<Vec<String>>>);

impl Sink {
    fn start(host: &Host) -> Self {
        let listener = host.run(|| TcpListener::bind(("127.0.0.1", 25))).unwrap().unwrap();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&mails);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let (mut stream, mut heard) = (stream, String::new());
                let _ = stream.write_all(b"220 sink\r\n");
                while let Some(Ok(line)) = lines.next() {
                    heard.push_str(&format!("{line}\n"));
                    let answer = match line.as_str() {
                        "DATA" => {
                            let _ = stream.write_all(b"354 go\r\n");
                            for line in lines.by_ref().map_while(Result::ok).take_while(|line| line != ".") {
                                heard.push_str(&format!("{line}\n"));
                            }
                            taken.lock().unwrap().push(std::mem::take(&mut heard));
                            "250 taken\r\n"
                        }
                        "QUIT" => "221 bye\r\n",
                        _ => "250 ok\r\n",
                    };
                    let _ = stream.write_all(answer.as_bytes());
                }
            }
        });
        Self(mails)
    }

    fn subjects(&self) -> Vec<String> {
        let mails = self.0.lock().unwrap();
        mails.iter().filter_map(|mail| Some(mail.lines().find_map(|line| line.strip_prefix("Subject: "))?.to_owned())).collect()
    }
}

const MAIL: &str = "global_defs {\n    router_id lab\n    notification_email {\n        a@example.org\n        \"B C <b@example.org>\"\n    }\n    \
    notification_email_from k@example.org\n    smtp_server 127.0.0.1\n    smtp_helo_name helo.example.org\n    smtp_connect_timeout 5\n}\n";

#[test]
fn every_state_is_mailed_to_everybody_by_a_process_without_powers() {
    laboratory(&["ka1"], |lab| {
        let sink = Sink::start(lab.host("ka1"));
        let daemon = start(lab.host("ka1"), &format!("{MAIL}{}", fast_with(100, "smtp_alert")));
        lab.wait("two mails", secs(10), || sink.subjects().len() >= 2).unwrap();
        let subject = |state: &str| format!("[lab] VRRP Instance VI_1 - Entering {state} state");
        assert_eq!(sink.subjects()[..2], [subject("BACKUP"), subject("MASTER")]);
        let mail = sink.0.lock().unwrap()[1].clone();
        for line in
            ["HELO helo.example.org", "MAIL FROM:<k@example.org>", "RCPT TO:<a@example.org>", "From: k@example.org", "X-Mailer: Keepalived"]
        {
            assert!(mail.lines().any(|heard| heard == line), "{line} in {mail}");
        }
        assert!(mail.contains("\nTo: a@example.org, B C <b@example.org>\n\n=> VRRP Instance is now owning VRRP VIPs <=\n"), "{mail}");
        if ours() {
            assert!(mail.lines().any(|heard| heard == "RCPT TO:<b@example.org>"), "{mail}");
            let courier =
                lab.host("ka1").processes().into_iter().filter(|process| daemon.children().iter().any(|child| child.pid == process.pid));
            let powers = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let without = courier.filter(|child| powers(child.pid).contains("CapPrm:\t0000000000000000")).count();
            assert_eq!(without, 1, "the mail child and no other has no capability");
        }
    });
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
        let sink = Sink::start(lab.host("ka1"));
        lab.wait("both mails", secs(12), || sink.subjects().len() == 2).unwrap();
    });
}
