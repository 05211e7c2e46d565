//! The corpus: every configuration in `tests/configs` gives exactly the diagnostics beside it (`NAME.expect`), and exits `-t` as the
//! original does (`NAME.exit`, recorded from keepalived 2.2.7 with interfaces `eth0` and `ens33`; `NAME.exit.ours` where we differ).
//!
//! `KEEPALIVED_BLESS=1 cargo test --test configs` writes the `.expect` files anew; `.exit` files come from the original alone.

#[cfg(test)]
mod configs {
    use keepalived_rs::config::{Files, LoadOptions, Loaded, load};
    use std::fmt::Write as _;
    use std::io;
    use std::path::{Path, PathBuf};

    struct Disk;

    impl Files for Disk {
        fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
            std::fs::read(path)
        }

        fn glob(&self, pattern: &str) -> Vec<PathBuf> {
            let mut found: Vec<_> = glob::glob(pattern).into_iter().flatten().flatten().filter(|path| path.is_file()).collect();
            found.sort();
            found
        }
    }

    fn corpus(folder: &str) -> Vec<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs").join(folder);
        let mut found: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.retain(|path| path.extension().is_some_and(|end| end == "conf" || end == "toml"));
        found.sort();
        found
    }

    fn beside(path: &Path, end: &str) -> PathBuf {
        let toml = path.extension().is_some_and(|end| end == "toml");
        path.with_extension(if toml { format!("toml.{end}") } else { end.to_owned() })
    }

    fn read(path: &Path) -> Loaded {
        load(&Disk, path, &LoadOptions { config_id: "lab".to_owned(), ..LoadOptions::default() })
    }

    /// The diagnostics without the folder's name.
    fn shown(path: &Path, loaded: &Loaded) -> String {
        let folder = format!("{}/", path.parent().unwrap().display());
        let mut text = String::new();
        for found in loaded.report.diagnostics() {
            writeln!(text, "{}", found.one_line().replace(&folder, "")).unwrap();
        }
        text
    }

    fn check(folder: &str) -> Vec<(PathBuf, Loaded)> {
        let bless = std::env::var_os("KEEPALIVED_BLESS").is_some();
        let mut wrong = String::new();
        let mut all = Vec::new();
        for path in corpus(folder) {
            let loaded = read(&path);
            let (got, expect) = (shown(&path, &loaded), beside(&path, "expect"));
            if bless {
                std::fs::write(&expect, &got).unwrap();
            }
            if std::fs::read_to_string(&expect).unwrap_or_default() != got {
                writeln!(wrong, "{}:\n{got}", path.display()).unwrap();
            }
            if let Ok(exit) = std::fs::read_to_string(beside(&path, "exit")) {
                let ours = loaded.report.test_exit_code().to_string();
                // Where the original's is plainly a defect (README, "What differs"), ours stands beside it.
                let wanted = std::fs::read_to_string(beside(&path, "exit.ours")).unwrap_or(exit.clone());
                if wanted.trim() != ours {
                    writeln!(wrong, "{}: the original's -t exits {}, ours {ours}\n{got}", path.display(), exit.trim()).unwrap();
                }
            }
            all.push((path, loaded));
        }
        assert!(wrong.is_empty(), "{wrong}");
        assert!(!all.is_empty(), "no configuration in {folder}");
        all
    }

    #[test]
    fn good_configurations_give_no_error() {
        for (path, loaded) in check("ok") {
            assert!(!loaded.report.refuses_reload(), "{}: {}", path.display(), shown(&path, &loaded));
            assert_eq!(loaded.report.refuses_start(), None, "{}", path.display());
        }
    }

    #[test]
    fn every_mistake_is_said_where_it_is() {
        for (path, loaded) in check("bad") {
            assert!(!loaded.report.diagnostics().is_empty(), "{} has nothing to say", path.display());
        }
    }

    #[test]
    fn no_secret_is_ever_shown() {
        for folder in ["ok", "bad"] {
            for path in corpus(folder) {
                let loaded = read(&path);
                let text = format!("{:?} {:?}", loaded.config, loaded.report.diagnostics());
                let rendered: String = loaded.report.diagnostics().iter().map(|found| found.render()).collect();
                assert!(!text.contains("s3cret") && !rendered.contains("s3cret"), "{}", path.display());
            }
        }
    }
}
