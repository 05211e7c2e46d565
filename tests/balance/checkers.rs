//! Every checker takes its server out of the kernel's table and puts it back.

use crate::common::*;
use crate::house::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};

/// What every checker block holds here.
const TIMES: &str = "connect_timeout 2\n            retry 1\n            delay_before_retry 0.2";

/// A server that is there or not, by a switch.
struct Switched {
    on: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Switched {
    fn tcp(host: &Host, port: u16, speak: fn(TcpStream) -> std::io::Result<()>) -> Self {
        let this = Self { on: Arc::new(AtomicBool::new(true)), over: Arc::new(AtomicBool::new(false)) };
        let listener = host.run(move || TcpListener::bind(("0.0.0.0", port))).unwrap().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (on, over) = (this.on.clone(), this.over.clone());
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                match listener.accept() {
                    // Switched off it hangs up without a word.
                    Ok((stream, _)) if on.load(Ordering::Relaxed) => {
                        let _ = stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(secs(5))));
                        let _ = speak(stream);
                    }
                    Ok(_) => {}
                    Err(_) => std::thread::sleep(millis(5)),
                }
            }
        });
        this
    }

    fn udp(host: &Host, port: u16, answer: fn(&[u8]) -> Vec<u8>) -> Self {
        let this = Self { on: Arc::new(AtomicBool::new(true)), over: Arc::new(AtomicBool::new(false)) };
        let socket = host.run(move || UdpSocket::bind(("0.0.0.0", port))).unwrap().unwrap();
        socket.set_read_timeout(Some(millis(100))).unwrap();
        let (on, over) = (this.on.clone(), this.over.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 2000];
            while !over.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut bytes)
                    && on.load(Ordering::Relaxed)
                {
                    let _ = socket.send_to(&answer(&bytes[..length]), from);
                }
            }
        });
        this
    }

    fn turn(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }
}

impl Drop for Switched {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// A mail server as long as somebody greets it.
fn mail(stream: TcpStream) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    out.write_all(b"220 mail.example.org ESMTP\r\n")?;
    for line in BufReader::new(stream).lines() {
        let line = line?.to_ascii_uppercase();
        let answer = if line.starts_with("HELO") || line.starts_with("EHLO") { "250 mail.example.org\r\n" } else { "221 bye\r\n" };
        out.write_all(answer.as_bytes())?;
        if line.starts_with("QUIT") {
            break;
        }
    }
    Ok(())
}

fn page(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = [0; 1000];
    let _ = stream.read(&mut request)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nall well")
}

/// An answer with one address: the question, with the bits of an answer, and a record that points at its name (RFC 1035 §4).
fn name(question: &[u8]) -> Vec<u8> {
    let mut answer = question.to_vec();
    if answer.len() > 12 {
        answer[2] |= 0x80;
        answer[3] = 0x80;
        answer[6..8].copy_from_slice(&[0, 1]);
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    }
    answer
}

/// One virtual server whose only real server, port `port` of rs1, has this check.
fn guarded(port: u16, check: &str) -> String {
    let words = "    delay_loop 0.3\n    warmup 0\n    lb_algo rr\n    lb_kind NAT\n    protocol TCP\n";
    virtual_server(&format!("172.25.254.100 {port}"), words, &real_server(&format!("172.25.254.110 {port}"), check))
}

#[test]
fn tcp_smtp_http_udp_and_dns_checks_see_their_server_go_and_return() {
    house(|house| {
        let rs1 = house.host("rs1");
        let block = |keyword: &str, words: &str| format!("        {keyword} {{\n            {words}\n            {TIMES}\n        }}\n");
        let servers = [
            (25, Switched::tcp(rs1, 25, mail), block("SMTP_CHECK", "")),
            (8000, Switched::tcp(rs1, 8000, page), block("HTTP_GET", "url {\n path /\n status_code 200\n regex well\n }")),
            (7000, Switched::udp(rs1, 7000, |_| b"pong".to_vec()), block("UDP_CHECK", "payload 01ff\n require_reply 706f6e67")),
            (53, Switched::udp(rs1, 53, name), block("DNS_CHECK", "type A\n name example.org")),
        ];
        let config: String = servers.iter().map(|(port, _, check)| guarded(*port, check)).collect();
        let daemon = start(house.host("ka1"), &config);
        let present = |port: u16| rows(house.host("ka1")).contains(&format!("-> 172.25.254.110:{port} Masq 1"));
        let wait = |what: &str, port: u16, wanted: bool| {
            house.lab.wait(&format!("port {port} {what}"), PATIENCE, || present(port) == wanted).unwrap();
        };
        for (port, server, _) in &servers {
            wait("at first", *port, true);
            // Its first check was a success: what follows is a change.
            let first = || daemon.log().lines().any(|line| line.contains(&format!(":{port}")) && line.contains("succe"));
            let _ = lab::until("the first check", secs(3), first);
            server.turn(false);
            wait("gone", *port, false);
            server.turn(true);
            wait("back", *port, true);
        }
        for (port, ..) in &servers {
            assert!(present(*port), "no check takes another's server out");
        }
    });
}

#[test]
fn https_and_ping_checks_see_their_server_go_and_return() {
    house(|house| {
        let (ka1, rs1) = (house.host("ka1"), house.host("rs1"));
        rs1.sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /tmp/key -out /tmp/cert -days 3 -subj /CN=rs1 2>/dev/null").unwrap();
        let conf = "daemon off;\nmaster_process off;\npid /run/tls.pid;\nerror_log stderr;\nevents { }\nhttp { access_log off; client_body_temp_path /tmp/b; \
             proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s; server { listen 443 ssl; \
             ssl_certificate /tmp/cert; ssl_certificate_key /tmp/key; location / { return 200 well; } } }\n";
        rs1.write("/tmp/tls.conf", conf).unwrap();
        let serve = || start_as(rs1, "nginx", &["-c", "/tmp/tls.conf"]);
        let mut web = serve();
        let tls = format!("        SSL_GET {{\n            url {{\n path /\n status_code 200\n }}\n            {TIMES}\n        }}\n");
        let ping = format!("        PING_CHECK {{\n            {TIMES}\n        }}\n");
        let words = "    delay_loop 0.3\n    warmup 0\n    lb_algo rr\n    lb_kind NAT\n    protocol TCP\n";
        let pinged = virtual_server("172.25.254.100 9", words, &real_server("172.25.254.120 9", &ping));
        let _daemon = start(ka1, &(guarded(443, &tls) + &pinged));
        let present = |row: &str| rows(ka1).contains(&format!("-> {row} Masq 1"));
        let wait = |row: &str, wanted: bool| {
            house.lab.wait(&format!("{row} {wanted}"), PATIENCE, || present(row) == wanted).unwrap();
        };
        wait("172.25.254.110:443", true);
        wait("172.25.254.120:9", true);
        web.stop().unwrap();
        wait("172.25.254.110:443", false);
        let _web = serve();
        wait("172.25.254.110:443", true);
        house.lab.set_carrier("rs2", false).unwrap();
        wait("172.25.254.120:9", false);
        house.lab.set_carrier("rs2", true).unwrap();
        wait("172.25.254.120:9", true);
    });
}
