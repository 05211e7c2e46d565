//! Checks keep their rhythm: through reloads, and when their process did not run for a while. IPVS is not needed for that.

use crate::common::*;
use crate::house::*;
use std::net::TcpListener;
use std::sync::Mutex;

const SERVERS: u8 = 40;

/// Accepts on every address of its host, and notes which was asked.
struct Ear(Arc<Mutex<Vec<Ipv4Addr>>>);

impl Ear {
    fn open(host: &Host, port: u16) -> Self {
        let listener = host.run(move || TcpListener::bind(("0.0.0.0", port))).unwrap().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let book = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if let Ok(std::net::SocketAddr::V4(here)) = stream.local_addr() {
                    book.lock().unwrap().push(*here.ip());
                }
            }
        });
        Self(asked)
    }

    fn heard(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// How often each was asked since then: the least and the most.
    fn least_and_most(&self, since: usize) -> (usize, usize) {
        let book = self.0.lock().unwrap();
        let count = |server: &Ipv4Addr| book[since..].iter().filter(|asked| *asked == server).count();
        let counts: Vec<usize> = (0..SERVERS).map(|number| count(&address(number))).collect();
        (*counts.iter().min().unwrap(), *counts.iter().max().unwrap())
    }
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 8, 0, number + 1)
}

fn servers(weight: u8, words: &str, check: &str) -> String {
    let block = |number: u8| {
        let weight = if number == 0 { weight } else { 1 };
        real_server(&format!("{} 80", address(number)), &format!("        weight {weight}\n{check}"))
    };
    virtual_server("10.8.0.1 80", words, &(0..SERVERS).map(block).collect::<String>())
}

#[test]
fn reloads_neither_repeat_nor_skip_a_check() {
    laboratory(&["ka1"], |lab| {
        let host = lab.host("ka1");
        let ear = Ear::open(host, 80);
        let words = "    delay_loop 2\n    lb_algo rr\n    lb_kind NAT\n    protocol TCP\n";
        let check = "        TCP_CHECK {\n            connect_timeout 30\n        }";
        let daemon = start(host, &servers(1, words, check));
        lab.wait("first checks", PATIENCE, || ear.least_and_most(0).0 >= 1).unwrap();
        let (from, began) = (ear.heard(), lab::now());
        for weight in 2..8 {
            host.write(CONF, servers(weight, words, check)).unwrap();
            daemon.signal(Signal::SIGHUP).unwrap();
            let reloads = usize::from(weight) - 1;
            lab.wait("the reload", PATIENCE, || daemon.log().matches("Reinitializing ipvs").count() >= reloads).unwrap();
            std::thread::sleep(millis(500));
        }
        lab.wait("a check of each", PATIENCE, || ear.least_and_most(from).0 >= 2).unwrap();
        let (_, most) = ear.least_and_most(from);
        // One comes up to a twentieth early, never more; and one was due when the count began.
        let allowed = (lab::now().since(began).as_secs_f64() / (2.0 * 0.95)).floor() as usize + 1;
        assert!(most <= allowed, "a server was asked {most} times where {allowed} were due; {}", lab.logs());
        assert!(!daemon.log().contains("Removing service"), "{}", lab.logs());
    });
}

#[test]
fn who_did_not_run_for_a_while_blames_no_server_and_still_finds_the_dead_one() {
    laboratory(&["ka1"], |lab| {
        let host = lab.host("ka1");
        let ear = Ear::open(host, 80);
        let mortal = host.run(|| TcpListener::bind("127.8.1.1:81")).unwrap().unwrap();
        let words = "    delay_loop 1\n    lb_algo rr\n    lb_kind NAT\n    protocol TCP\n";
        let check = "        TCP_CHECK {\n            connect_timeout 1\n            retry 0\n        }";
        let dying = virtual_server("10.8.0.2 80", words, &real_server("127.8.1.1 81", check));
        let daemon = start(host, &(servers(1, words, check) + &dying));
        lab.wait("first checks", PATIENCE, || ear.least_and_most(0).0 >= 1).unwrap();
        lab.wait("the mortal server's first check", PATIENCE, || mortal.set_nonblocking(true).is_ok() && mortal.accept().is_ok()).unwrap();
        let children: Vec<u32> = daemon.children().iter().map(|child| child.pid).collect();
        // Also what lives only for a moment may be among them.
        let tell = |signal: Signal| children.iter().filter(|child| lab::send(**child, Some(signal)).is_ok()).count();
        assert_ne!(tell(Signal::SIGSTOP), 0);
        drop(mortal);
        std::thread::sleep(secs(3));
        tell(Signal::SIGCONT);
        let from = ear.heard();
        lab.wait("the dead server", PATIENCE, || daemon.log().contains("Removing service [127.8.1.1]:tcp:81")).unwrap();
        lab.wait("checks of each", PATIENCE, || ear.least_and_most(from).0 >= 3).unwrap();
        assert_eq!(daemon.log().matches("Removing service").count(), 1, "{}", lab.logs());
    });
}
