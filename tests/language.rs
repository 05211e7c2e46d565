//! Every construct of the language in one tree of files (`tests/language`): what comes out of it here, and out of the installed
//! original, is the same list of names and addresses.

mod common;

use common::{laboratory, skip, start_as};
use keepalived_rs::config::{Files, LoadOptions, load};
use std::io;
use std::path::{Path, PathBuf};

const ORIGINAL: &str = "/usr/sbin/keepalived";
/// Where the files are while they are read.
const FOLDER: &str = "/etc/keepalived/language";

/// Instance, VRID, addresses; in the order of the file.
const EXPECTED: &str = "router lab#! # no comment ! either
one 1 10.0.1.1/24 10.0.1.2/24
lab 2 10.0.2.1
/etc/keepalived/language/sub 21 10.21.0.1
d 24 10.24.0.1
b 22 10.22.0.1
c 23 10.23.0.1
e 25 10.25.0.1
f 26 10.26.0.1
g 27 10.27.0.1
h 28 10.28.0.1
S1 11 10.3.1.1
S2 12 10.3.2.1
S3 13 10.3.3.1
S4 14 10.3.4.1
S9 19 10.3.9.1
S7 17 10.3.7.1
S5 15 10.3.5.1
S11 111 10.3.11.1
S12 112 10.3.12.1
six 6 fe80::1/64 fe80::a:7/64 fe80::a:8/64 fe80::b:7/64 fe80::b:8/64 fe80::c:7/64 fe80::c:8/64
list 7 10.0.3.10 10.0.3.5 10.4.1.12 10.4.3.1 10.5.1.1 10.5.2.1 10.5.2.2
";

/// The tree in the source, as if it were in [`FOLDER`].
struct Tree;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language")
}

impl Files for Tree {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let inside = path.strip_prefix(FOLDER).map_err(io::Error::other)?;
        std::fs::read(root().join(inside))
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        let inside = pattern.strip_prefix(FOLDER).unwrap_or(pattern).trim_start_matches('/');
        let found = glob::glob(&root().join(inside).to_string_lossy()).into_iter().flatten().flatten();
        found.filter_map(|path| Some(Path::new(FOLDER).join(path.strip_prefix(root()).ok()?))).collect()
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "HA_ADDRESS").then(|| "10.7.7.7".to_owned())
    }
}

fn options() -> LoadOptions {
    LoadOptions { config_id: "lab".to_owned(), ..LoadOptions::default() }
}

#[test]
fn every_construct_of_the_language_comes_out_as_it_should() {
    let loaded = load(&Tree, &Path::new(FOLDER).join("main.conf"), &options());
    assert!(!loaded.report.refuses_reload(), "{:#?}", loaded.report.diagnostics());
    let mut got = format!("router {}\n", loaded.config.global.router_id.as_deref().unwrap());
    for instance in &loaded.config.instances {
        // As the original shows them: a host's own length is not told.
        let shown = |text: String| text.strip_suffix("/32").map_or(text.clone(), ToOwned::to_owned);
        let addresses: Vec<_> = instance.addresses.iter().map(|address| shown(address.prefix.to_string())).collect();
        got += &format!("{} {} {}\n", instance.name, instance.vrid, addresses.join(" "));
    }
    assert_eq!(got, EXPECTED);
    assert_eq!(loaded.config.global.mail.from.as_deref(), Some("a#b!c"));
}

#[test]
fn the_original_makes_the_same_of_it() {
    if !Path::new(ORIGINAL).exists() {
        return skip("Debian's keepalived is not installed");
    }
    laboratory(&["ka1"], |lab| {
        let host = lab.host("ka1");
        for path in glob::glob(&root().join("**/*.conf").to_string_lossy()).unwrap().flatten() {
            let inside = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            host.write(&format!("{FOLDER}/{inside}"), std::fs::read(&path).unwrap()).unwrap();
        }
        let main = format!("{FOLDER}/main.conf");
        let mut daemon = start_as(host, ORIGINAL, &["-n", "-d", "-l", "-G", "-i", "lab", "-f", &main]);
        // The dump is over when the last instance has its last address in it.
        lab.wait("the dump", std::time::Duration::from_secs(20), || shape(&daemon.log()) == EXPECTED)
            .unwrap_or_else(|_| panic!("{}", shape(&daemon.log())));
        daemon.stop().unwrap();
    });
}

/// The dump's instances in the form of [`EXPECTED`].
fn shape(log: &str) -> String {
    let mut shape = String::new();
    let mut open = false;
    for line in log.lines() {
        let text = line.split_once(": ").map_or(line, |(_, text)| text).trim_end();
        let value = |label: &str| text.trim_start().strip_prefix(label).map(|rest| rest.trim().to_owned());
        if let Some(name) = value("Router ID =") {
            shape += &format!("router {name}\n");
        } else if let Some(name) = value("VRRP Instance =") {
            if open {
                shape.push('\n');
            }
            open = true;
            shape += &name;
        } else if let Some(vrid) = value("Virtual Router ID =") {
            shape += &format!(" {vrid}");
        } else if let Some(address) = Some(text.trim_start()).filter(|rest| rest.contains(" dev eth0 scope ")) {
            shape += &format!(" {}", address.split_ascii_whitespace().next().unwrap_or(""));
        }
    }
    if open { shape + "\n" } else { shape }
}

#[test]
fn the_environment_is_a_construct_of_later_releases() {
    struct Environment;
    impl Files for Environment {
        fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
            let text = "vrrp_instance E {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n${_ENV HA_ADDRESS}/24\n}\n}\n";
            Ok(text.as_bytes().to_vec())
        }
        fn glob(&self, _: &str) -> Vec<PathBuf> {
            Vec::new()
        }
        fn variable(&self, name: &str) -> Option<String> {
            Tree.variable(name)
        }
    }
    let loaded = load(&Environment, Path::new("a.conf"), &options());
    assert_eq!(loaded.config.instances[0].addresses[0].prefix.to_string(), "10.7.7.7/24");
}
