//! `keepalivedctl convert`, `fmt` and `plan`, what `-d` prints, and the files around a reload.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CTL: &str = env!("CARGO_BIN_EXE_keepalivedctl");

/// A folder of the test's own, gone with it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

fn ctl(words: &[&str]) -> Output {
    Command::new(CTL).args(words).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const MAIN: &str = "# ours\ninclude conf.d/*.conf\n\nglobal_defs {\n    router_id a  # its name\n}\n";
const PART: &str =
    "vrrp_instance A {\n    interface lo9\n    virtual_router_id 1\n    virtual_ipaddress {\n        10.0.0.1/24\n    }\n}\n";

#[test]
fn convert_writes_every_file_beside_its_own_and_back() {
    let folder = Folder::new();
    let main = folder.put("k.conf", MAIN);
    folder.put("conf.d/a.conf", PART);
    let shown = ctl(&["convert", &main]);
    assert!(shown.status.success() && said(&shown).contains("with --write it becomes"), "{}", said(&shown));
    assert!(!folder.path("k.toml").exists());
    let written = ctl(&["convert", "--write", &main]);
    assert!(written.status.success(), "{}", said(&written));
    assert_eq!(folder.read("k.toml"), "# ours\ninclude = \"conf.d/*.toml\"\n\n[global_defs]\nrouter_id = \"a\"  # its name\n");
    assert!(folder.read("conf.d/a.toml").contains("[vrrp_instance.A]\n"));
    let again = ctl(&["convert", "-w", &main]);
    assert!(again.status.code() == Some(1) && said(&again).contains("exists already"), "{}", said(&again));
    let back = folder.path("back/k.conf").display().to_string();
    let toml = folder.path("k.toml").display().to_string();
    let written = ctl(&["convert", "-o", &back, &toml]);
    assert!(written.status.success(), "{}", said(&written));
    assert_eq!((folder.read("back/k.conf").as_str(), folder.read("back/conf.d/a.conf").as_str()), (MAIN, PART));
}

#[test]
fn convert_refuses_what_is_wrong_unless_forced() {
    let folder = Folder::new();
    let main = folder.put("k.conf", "global_defs {\n    route_id a\n    router_id b\n}\n");
    let refused = ctl(&["convert", &main]);
    assert!(refused.status.code() == Some(1) && said(&refused).contains("did you mean 'router_id'?"), "{}", said(&refused));
    let forced = ctl(&["convert", "--force", &main]);
    assert!(forced.status.success() && said(&forced).contains("router_id = \"b\""), "{}", said(&forced));
    assert_eq!(ctl(&["convert", "/nowhere/at/all"]).status.code(), Some(2));
}

#[test]
fn fmt_checks_prints_and_writes() {
    let folder = Folder::new();
    let path = folder.put("k.conf", "global_defs { router_id a # c\n}\n");
    let expected = "global_defs {  # c\n    router_id a\n}\n";
    let check = ctl(&["fmt", "--check", &path]);
    assert_eq!((check.status.code(), said(&check)), (Some(1), format!("{path}\n")));
    assert_eq!(said(&ctl(&["fmt", &path])), expected);
    assert!(ctl(&["fmt", "-i", &path]).status.success());
    assert_eq!(folder.read("k.conf"), expected);
    assert!(ctl(&["fmt", "--check", &path]).status.success());
    let toml = folder.put("k.toml", "");
    assert_eq!(ctl(&["fmt", &toml]).status.code(), Some(2));
}

#[test]
fn the_dump_of_a_test_is_a_configuration() {
    let folder = Folder::new();
    let path = folder.put("k.conf", "$N=5\ndynamic_interfaces\nglobal_defs {\n dynamic_interfaces\n}\nvrrp_instance A {\n interface lo9\n virtual_router_id $N\n virtual_ipaddress {\n ~SEQ(I,1,3) 10.0.0.$I\n }\n}\n".replace("dynamic_interfaces\nglobal", "global").as_str());
    let dump = Command::new(env!("CARGO_BIN_EXE_keepalived")).args(["-t", "-d", "-f", &path]).output().unwrap();
    let text = String::from_utf8_lossy(&dump.stderr).into_owned();
    assert!(dump.status.success() && text.contains("        10.0.0.3\n") && text.contains("# Config {"), "{text}");
    let again = folder.put("again.conf", &text);
    let second = Command::new(env!("CARGO_BIN_EXE_keepalived")).args(["-t", "-d", "-f", &again]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&second.stderr), text);
}

/// The plan with another configuration, and its exit status.
fn planned(host: &Arc<Host>, config: &str) -> (String, Option<i32>) {
    host.write("/etc/keepalived/new.conf", config).unwrap();
    let mut command = host.command("keepalivedctl");
    command.args(["plan", "-f", "/etc/keepalived/new.conf"]);
    let output = host.output(command).unwrap();
    (output.text, output.status.code())
}

#[test]
fn a_plan_says_what_a_reload_then_does() {
    if !promised_by_ours() {
        return;
    }
    laboratory_of(plan().program("keepalivedctl", Path::new(CTL)), &["ka1"], |lab| {
        let host = lab.host("ka1");
        let secret = "authentication {\n        auth_type PASS\n        auth_pass s3cret\n    }";
        let with = |priority: u8, addresses: &[&str], extra: &str| {
            Instance { priority, addresses, version: 2, advert_int: "1", extra, ..Instance::default() }.to_string()
        };
        let running = with(100, &["172.25.254.100/24"], secret);
        let (text, status) = planned(host, &running);
        assert!(status == Some(2) && text.contains("no daemon runs"), "{text}");
        let mut daemon = start(host, &running);
        only(lab, "ka1", VIP, secs(20));
        assert_eq!(host.mode("/run/keepalived.running"), Some(0o600));
        let (text, status) = planned(host, &running);
        assert!(status == Some(0) && text.contains("nothing would change"), "{text}");
        let (text, status) = planned(host, "vrrp_instance X {\n    bogus\n}\n");
        assert!(status == Some(1) && text.contains("would be refused"), "{text}");
        let other = with(150, &["172.25.254.200/24"], &secret.replace("s3cret", "s3cre7"));
        let (text, status) = planned(host, &other);
        assert_eq!(status, Some(2), "{text}");
        for line in [
            "~ VI_1: authentication: changed; priority: 100 -> 150; virtual_ipaddress: see the addresses",
            "+ 172.25.254.200/24 on eth0: of VI_1",
            "- 172.25.254.100/24 on eth0: of VI_1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("s3cre"), "{text}");
        assert!(host.has(VIP), "a plan changes nothing");
        reload(host, &daemon, &other);
        only(lab, "ka1", VIP2, secs(20));
        let (text, status) = planned(host, &other);
        assert!(status == Some(0), "{text}");
        let mut check = host.command("keepalivedctl");
        check.args(["check", "--against-running", CONF]);
        let checked = host.output(check).unwrap();
        assert!(checked.text.contains("nothing would change"), "{}", checked.text);
        daemon.stop().unwrap();
        assert!(!host.exists("/run/keepalived.running"));
    });
}

#[test]
fn every_reading_is_saved_as_the_original_saves_it() {
    laboratory(&["ka1"], |lab| {
        let host = lab.host("ka1");
        let config = format!(
            "# head\nglobal_defs {{\n config_save_dir /run/saved\n\n router_id   a   # trailing\n}}\ninclude inc.conf\n{}",
            fast(100)
        );
        host.write("/etc/keepalived/inc.conf", "# only comment\n\n$Q=1\n").unwrap();
        let daemon = start(host, &config);
        only(lab, "ka1", VIP, secs(20));
        let pid = host.read("/run/keepalived.pid").unwrap().trim().to_owned();
        let saved = |number: u32| host.read(&format!("/run/saved/keepalived.conf.{pid}.{number}"));
        lab.wait("the first copy", secs(20), || saved(0).is_some()).unwrap();
        let text = saved(0).unwrap();
        let begin = format!("# {CONF}\n\nglobal_defs {{\nconfig_save_dir /run/saved\n\nrouter_id   a\n}}\n\n# ");
        assert!(text.starts_with(&begin), "{text}");
        assert!(text.contains("inc.conf\n\n\n$Q=1\n!\nvrrp_instance VI_1 {\n") && text.ends_with("}\n!\n"), "{text}");
        reload(host, &daemon, &config);
        lab.wait("the second copy", secs(20), || saved(1).is_some()).unwrap();
    });
}

#[test]
fn the_reload_file_goes_when_the_files_are_read() {
    laboratory(&["ka1"], |lab| {
        let host = lab.host("ka1");
        host.sh("mkdir /run/marks").unwrap();
        let config = format!("global_defs {{\n    reload_file /run/marks/reload\n}}\n{}", fast(100));
        let daemon = start(host, &config);
        only(lab, "ka1", VIP, secs(20));
        // keepalived.conf(5): touch it, signal, and wait until it is gone: then the files have been read.
        host.write("/run/marks/reload", "x").unwrap();
        reload(host, &daemon, &config.replace("priority 100", "priority 77"));
        lab.wait("the file gone", secs(20), || !host.exists("/run/marks/reload")).unwrap();
        lab.wait("an advert of the new priority", secs(20), || adverts(lab, 0, "ka1").last().is_some_and(|advert| advert.priority == 77))
            .unwrap();
    });
}

#[test]
fn a_refused_reload_leaves_its_reasons_where_reload_check_config_says() {
    laboratory(&["ka1"], |lab| {
        let host = lab.host("ka1");
        let config = format!("global_defs {{\n    reload_check_config /run/check.log\n}}\n{}", fast(100));
        let daemon = start(host, &config);
        only(lab, "ka1", VIP, secs(20));
        reload(host, &daemon, &config.replace("priority 100", "priority 100\n    bogus_word"));
        wait_log(lab, &daemon, "New config failed validation, see /run/check.log for details", secs(20));
        assert!(host.read("/run/check.log").unwrap().contains("bogus_word"));
        assert!(host.has(VIP));
        reload(host, &daemon, &config);
        wait_log(lab, &daemon, "Reload complete", secs(20));
    });
}

#[test]
fn a_reload_may_plan_the_next_one() {
    laboratory(&["ka1"], |lab| {
        let host = lab.host("ka1");
        let daemon = start(host, &fast(100));
        only(lab, "ka1", VIP, secs(20));
        let planning = format!("global_defs {{\n    reload_time_file /run/when\n}}\n{}", fast(100));
        reload(host, &daemon, &planning);
        wait_log(lab, &daemon, "Reload complete", secs(20));
        host.write(CONF, planning.replace("priority 100", "priority 77")).unwrap();
        host.sh("date -d '3 seconds' +%Y-%m-%d' '%H:%M:%S > /run/when").unwrap();
        lab.wait("an advert of the new priority", secs(30), || adverts(lab, 0, "ka1").last().is_some_and(|advert| advert.priority == 77))
            .unwrap();
        lab.wait("the file gone", secs(20), || !host.exists("/run/when")).unwrap();
    });
}
