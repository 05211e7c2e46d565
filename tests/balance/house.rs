//! A house with a balancer: a client, two directors and real servers with nginx, on a kernel with IPVS.

use crate::common::vm::with_ipvs_as;
use crate::common::*;
use std::any::type_name;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

/// How long a change may take on a loaded machine.
pub(super) const PATIENCE: Duration = secs(40);

/// Runs `test` in a laboratory of the client, two directors and three real servers.
pub(super) fn house<F: FnOnce(&House<'_>)>(test: F) {
    house_as(type_name::<F>(), test);
}

/// The same for the test that the closure of this name is written in.
pub(super) fn house_as(closure: &str, test: impl FnOnce(&House<'_>)) {
    with_ipvs_as(closure, || {
        laboratory(&["client", "ka1", "ka2", "rs1", "rs2", "rs3"], |lab| {
            for director in ["ka1", "ka2"] {
                lab.host(director).sh("echo 1 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv4/conf/all/send_redirects").unwrap();
            }
            test(&House { lab });
        });
    });
}

/// The laboratory, and what a balancer's administrator does in it.
pub(super) struct House<'a> {
    pub(super) lab: &'a Lab,
}

impl House<'_> {
    pub(super) fn host(&self, name: &str) -> &Arc<Host> {
        self.lab.host(name)
    }

    /// nginx, whose every page is its host's name.
    pub(super) fn web(&self, host: &str) -> Daemon {
        self.web_at(host, 80)
    }

    /// The same at another port.
    pub(super) fn web_at(&self, host: &str, port: u16) -> Daemon {
        let server = self.host(host);
        let text = format!(
            "daemon off;\nmaster_process off;\npid /run/nginx-{port}.pid;\nerror_log stderr;\nevents {{ worker_connections 512; }}\nhttp {{ access_log off; \
             client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s; \
             server {{ listen {port} default_server; listen [::]:{port} default_server; location / {{ return 200 \"{host}\"; }} }} }}\n"
        );
        let file = format!("/tmp/nginx-{port}.conf");
        server.write(&file, text).unwrap();
        let daemon = start_as(server, "nginx", &["-c", &file]);
        let up = || self.ask(host, SocketAddr::new(server.ipv4().into(), port)).is_ok();
        self.lab.wait(&format!("nginx of {host}"), PATIENCE, up).unwrap();
        daemon
    }

    /// Real servers own the address quietly, as tutorials of direct routing say.
    pub(super) fn quiet_address(&self, hosts: &[&str], address: &str) {
        for host in hosts {
            let line = format!(
                "echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore; echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce; ip addr add {address} dev lo"
            );
            self.host(host).sh(&line).unwrap();
        }
    }

    /// One request of a host over a connection of its own: what the page says.
    pub(super) fn ask(&self, from: &str, to: SocketAddr) -> std::io::Result<String> {
        ask(self.host(from), to, secs(5))
    }

    /// So many requests of the client: who answered, sorted, with how many answers.
    pub(super) fn answers(&self, to: impl Into<SocketAddr>, count: usize) -> Vec<(String, usize)> {
        let to = to.into();
        let mut who = std::collections::BTreeMap::new();
        for _ in 0..count {
            let said = self.ask("client", to).unwrap_or_else(|error| format!("error: {error}"));
            *who.entry(said).or_insert(0) += 1;
        }
        who.into_iter().collect()
    }

    /// Waits until this director, and not the other, has the tutorials' address; real servers have it anyhow.
    pub(super) fn master(&self, wanted: &str) {
        let has = |host: &str| self.host(host).address(VIP).is_some();
        let other = if wanted == "ka1" { "ka2" } else { "ka1" };
        self.lab.wait(&format!("the address on {wanted}"), PATIENCE, || has(wanted) && !has(other)).unwrap();
    }

    /// Waits until the table, as `ipvsadm -Ln` prints it, is this.
    pub(super) fn table(&self, host: &str, wanted: &[&str]) {
        self.table_within(host, wanted, PATIENCE);
    }

    /// The same within a time.
    pub(super) fn table_within(&self, host: &str, wanted: &[&str], limit: Duration) -> Instant {
        let mut last = Vec::new();
        let waited = lab::until("the table", limit, || {
            last = rows(self.host(host));
            last == wanted
        });
        waited.unwrap_or_else(|_| panic!("{host}'s table is {last:#?}, not {wanted:#?}; {}", self.lab.logs()))
    }
}

fn ask(host: &Host, to: SocketAddr, limit: Duration) -> std::io::Result<String> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket =
        host.run(move || Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))).map_err(std::io::Error::other)??;
    let any: std::net::IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    socket.bind(&SocketAddr::new(any, port_never_used()).into())?;
    socket.connect_timeout(&to.into(), limit)?;
    socket.set_read_timeout(Some(limit))?;
    let mut stream = std::net::TcpStream::from(socket);
    stream.write_all(b"GET / HTTP/1.0\r\nHost: house\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    match page.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(std::io::Error::other(format!("answer {page:?}"))),
    }
}

/// No two requests come from one port: the kernel's balancer remembers for two minutes where a port's last connection went, and
/// drops what comes from it when that server is gone. Below the ports that the system gives to others.
fn port_never_used() -> u16 {
    static REQUESTS: AtomicU16 = AtomicU16::new(0);
    10_000 + REQUESTS.fetch_add(1, Ordering::Relaxed) % 22_000
}

/// The table as `ipvsadm -Ln` prints it, without its heading and counters, single-spaced.
pub(super) fn rows(host: &Host) -> Vec<String> {
    rows_by(host, "ipvsadm -Ln")
}

/// The same as another command prints it.
pub(super) fn rows_by(host: &Host, command: &str) -> Vec<String> {
    let text = host.sh(command).unwrap();
    let words = |line: &str| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        if words.first() == Some(&"->") {
            words.truncate(4);
        }
        words.join(" ")
    };
    text.lines().skip(3).map(words).collect()
}

/// A client that never stops asking, one connection a request.
pub(super) struct Customer {
    over: Arc<AtomicBool>,
    log: Arc<Mutex<Vec<Result<String, String>>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Customer {
    /// Asks every 10 ms from now on.
    pub(super) fn start(house: &House<'_>, to: impl Into<SocketAddr>) -> Self {
        let (client, to) = (Arc::clone(house.host("client")), to.into());
        let (over, log) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (flag, book) = (over.clone(), log.clone());
        let thread = std::thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                let answer = ask(&client, to, secs(20)).map_err(|error| error.to_string());
                book.lock().unwrap().push(answer);
                std::thread::sleep(millis(10));
            }
        });
        Self { over, log, thread: Some(thread) }
    }

    /// How many answers it has.
    pub(super) fn count(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    /// Waits for so many further answers.
    pub(super) fn goes_on(&self, count: usize) {
        let wanted = self.count() + count;
        lab::until("further answers", PATIENCE, || self.count() >= wanted).unwrap();
    }

    /// Ends it: everything that went wrong.
    pub(super) fn failures(mut self) -> Vec<String> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().map(std::thread::JoinHandle::join);
        let log = self.log.lock().unwrap();
        assert!(log.len() > 5, "the customer was served {} times only", log.len());
        log.iter().filter_map(|answer| answer.as_ref().err().cloned()).collect()
    }
}

impl Drop for Customer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// A `virtual_server` block.
pub(super) fn virtual_server(at: &str, words: &str, inner: &str) -> String {
    format!("virtual_server {at} {{\n{words}\n{inner}}}\n")
}

/// A `real_server` block.
pub(super) fn real_server(at: &str, inner: &str) -> String {
    format!("    real_server {at} {{\n{inner}\n    }}\n")
}

/// TCP_CHECK ten times a second.
pub(super) const TCP_CHECK: &str =
    "        TCP_CHECK {\n            connect_timeout 2\n            retry 1\n            delay_before_retry 0.2\n        }";

/// Words of a virtual server whose checks are frequent.
pub(super) const OFTEN: &str = "    delay_loop 0.3\n    warmup 0\n    lb_algo rr\n    lb_kind DR\n    protocol TCP\n";
