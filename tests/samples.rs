//! The sample configurations are ones that the daemon takes without a word, and both say the same.

use keepalived_rs::config::convert::convert;
use keepalived_rs::config::{Files, LoadOptions, Loaded, Severity, load};
use std::io;
use std::path::{Path, PathBuf};

/// `etc/keepalived`, under the names that the samples are copied to.
struct Samples;

impl Files for Samples {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::NotFound)?;
        std::fs::read(format!("{}/etc/keepalived/{name}.sample", env!("CARGO_MANIFEST_DIR")))
    }

    fn glob(&self, _: &str) -> Vec<PathBuf> {
        Vec::new()
    }
}

fn sample(name: &str) -> Loaded {
    load(&Samples, &Path::new("/etc/keepalived").join(name), &LoadOptions::default())
}

#[test]
fn samples_are_taken_without_a_word() {
    for name in ["keepalived.conf", "keepalived.toml"] {
        let loaded = sample(name);
        assert_eq!(loaded.report.diagnostics(), &[], "{name}");
        let addresses: Vec<String> =
            loaded.config.instances.iter().flat_map(|instance| &instance.addresses).map(|address| address.prefix.to_string()).collect();
        assert_eq!(addresses, ["192.0.2.100/24"], "{name}");
    }
}

#[test]
fn both_samples_say_the_same() {
    assert_eq!(sample("keepalived.conf").config, sample("keepalived.toml").config);
}

/// Every sample of a notation's forms.
fn forms() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/keepalived/samples");
    let found = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    found.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect()
}

struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        glob::glob(pattern).into_iter().flatten().flatten().collect()
    }
}

#[test]
fn the_forms_are_read_without_an_error_and_convert() {
    let forms = forms();
    assert!(forms.len() >= 5, "{forms:?}");
    for path in forms {
        let done = convert(&Disk, &path, &LoadOptions::default());
        let errors: Vec<String> = done
            .loaded
            .report
            .diagnostics()
            .iter()
            .filter(|found| found.severity >= Severity::Warning && !found.message.contains("not acted on"))
            .map(|found| found.one_line())
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
        assert!(done.means_the_same(&Disk, &LoadOptions::default()), "{:#?}", done.files);
    }
}

#[test]
fn includes_of_the_forms_are_followed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/keepalived/samples/README.toml");
    let loaded = load(&Disk, &path, &LoadOptions::default());
    assert_eq!(loaded.config.instances.iter().map(|instance| instance.name.as_str()).collect::<Vec<_>>(), ["VI_1"]);
}
