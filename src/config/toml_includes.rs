//! TOML files that include others, read as one configuration.

use super::{Files, LoadOptions, load};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

struct Texts(BTreeMap<PathBuf, String>);

impl Files for Texts {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        let ending = pattern.rsplit('*').next().unwrap_or_default();
        self.0.keys().filter(|path| path.starts_with("/k/d") && path.to_string_lossy().ends_with(ending)).cloned().collect()
    }
}

fn texts(files: &[(&str, &str)]) -> Texts {
    Texts(files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect())
}

fn instance(name: &str, vrid: u8) -> String {
    format!("[vrrp_instance.{name}]\ninterface = \"eth0\"\nvirtual_router_id = {vrid}\nvirtual_ipaddress = [\"10.0.0.{vrid}\"]\n")
}

#[test]
fn every_include_is_read_where_it_stands() {
    let main =
        format!("includer = \"first.toml\"\n{}[[include]]\nfile = [\"d/*.toml\", \"last.toml\"]\n{}", instance("B", 2), instance("E", 5));
    let (first, c, last) = (instance("A", 1), instance("C", 3), instance("D", 4));
    let files = texts(&[("/k/a.toml", &main), ("/k/first.toml", &first), ("/k/d/c.toml", &c), ("/k/last.toml", &last)]);
    let loaded = load(&files, Path::new("/k/a.toml"), &LoadOptions::default());
    assert_eq!(loaded.report.diagnostics(), &[]);
    assert_eq!(loaded.config.instances.iter().map(|instance| instance.name.as_str()).collect::<String>(), "ABCDE");
}

#[test]
fn the_six_keywords_are_as_strict_as_in_text() {
    let status = |main: &str, all_includes: bool| {
        let options = LoadOptions { all_includes, ..LoadOptions::default() };
        let report = load(&texts(&[("/k/a.toml", main)]), Path::new("/k/a.toml"), &options).report;
        (report.refuses_start(), report.refuses_reload())
    };
    assert_eq!(status("include = \"no.toml\"", false), (None, true));
    assert_eq!(status("include = \"d/*.toml\"", false), (None, false));
    assert_eq!(status("include = \"d/*.toml\"", true), (Some(6), true));
    assert_eq!(status("includem = \"no.toml\"", false), (Some(6), true));
    assert_eq!(status("[[includew]]\nfile = \"d/*.toml\"", false), (Some(6), true));
    assert!(status("include = 7", false).1);
}

#[test]
fn a_loop_ends_and_is_said() {
    let files = texts(&[("/k/a.toml", "include = \"b.toml\""), ("/k/b.toml", "include = \"../k/a.toml\"")]);
    let report = load(&files, Path::new("/k/a.toml"), &LoadOptions::default()).report;
    assert!(report.diagnostics()[0].message.contains("included twice"), "{:?}", report.diagnostics());
}
