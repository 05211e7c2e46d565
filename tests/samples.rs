//! The sample configurations are ones that the daemon takes without a word, and both say the same.

use keepalived_rs::config::{Files, LoadOptions, Loaded, load};
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
