//! Configurations are written down again, and mean what they meant: over the whole corpus and the samples.

#[cfg(test)]
mod written {
    use keepalived_rs::config::convert::{Converted, Secrets, convert, understood};
    use keepalived_rs::config::plan::plan;
    use keepalived_rs::config::{Files, LoadOptions, load, model::Config};
    use keepalived_rs::syntax::layout;
    use keepalived_rs::vrrp::settings::Auth;
    use std::collections::BTreeMap;
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    /// The disk, and files that are only in memory.
    #[derive(Default)]
    struct Over(BTreeMap<PathBuf, String>);

    impl Files for Over {
        fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
            self.0.get(path).map_or_else(|| std::fs::read(path), |text| Ok(text.clone().into_bytes()))
        }

        fn glob(&self, pattern: &str) -> Vec<PathBuf> {
            let mut found: Vec<_> = glob::glob(pattern).into_iter().flatten().flatten().filter(|path| path.is_file()).collect();
            let matcher = glob::Pattern::new(pattern).unwrap();
            found.extend(self.0.keys().filter(|path| matcher.matches_path(path)).cloned());
            found.sort();
            found.dedup();
            found
        }
    }

    fn options() -> LoadOptions {
        LoadOptions { config_id: "lab".to_owned(), ..LoadOptions::default() }
    }

    /// Every configuration of the corpus, good or bad, and the samples.
    fn corpus() -> Vec<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = Vec::new();
        let mut folders = vec![root.join("tests/configs"), root.join("etc")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "conf" || end == "toml") {
                    found.push(path);
                }
            }
        }
        found.sort();
        assert!(found.len() > 100, "{}", found.len());
        found
    }

    fn config(files: &Over, path: &Path) -> Config {
        load(files, path, &options()).config
    }

    /// Without what each reading draws anew.
    fn is_random(path: &Path) -> bool {
        std::fs::read(path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains("_RANDOM"))
    }

    fn is_endless(path: &Path) -> bool {
        ["definition_bomb", "definition_endless", "definition_of_itself", "include_loop"]
            .iter()
            .any(|name| path.to_string_lossy().contains(name))
    }

    #[test]
    fn fmt_changes_no_meaning_and_is_done_at_once() {
        let mut wrong = Vec::new();
        for path in corpus() {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            if path.extension().is_some_and(|end| end == "toml") || is_random(&path) {
                continue;
            }
            let laid = layout::format(&text);
            assert_eq!(layout::format(&laid), laid, "{}", path.display());
            let over = Over([(path.clone(), laid)].into());
            if config(&Over::default(), &path) != config(&over, &path) {
                wrong.push(path);
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    fn memory(converted: &Converted) -> Over {
        Over(converted.files.iter().map(|file| (file.to.clone(), file.text.clone())).collect())
    }

    #[test]
    fn there_and_back_is_the_same_configuration() {
        let mut wrong = Vec::new();
        for path in corpus().into_iter().filter(|path| !is_random(path) && !is_endless(path)) {
            let there = convert(&Over::default(), &path, &options());
            let Some(main) = there.files.first() else { continue };
            // No file of the corpus has a twin under the other name that could be read instead.
            let over = memory(&there);
            let back = convert(&over, &main.to, &options());
            if back.loaded.config != there.loaded.config {
                wrong.push(format!("there: {}", path.display()));
                continue;
            }
            if !back.means_the_same(&over, &options()) {
                wrong.push(format!("back: {}", path.display()));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// Passwords as a masked one is read.
    fn masked(mut config: Config) -> Config {
        for instance in &mut config.instances {
            let auth = instance.auth.clone().map(|auth| match auth {
                Auth::Password(_) => Auth::Password(*b"********"),
                Auth::Header(_) => Auth::Header(*b"********"),
            });
            Arc::make_mut(instance).auth = auth;
        }
        config
    }

    #[test]
    fn the_dump_reads_as_what_was_understood() {
        let mut wrong = Vec::new();
        for path in corpus().into_iter().filter(|path| !is_random(path)) {
            for secrets in [Secrets::Shown, Secrets::Masked] {
                let (loaded, text) = understood(&Over::default(), &path, &options(), secrets);
                let dump = PathBuf::from("/dump.conf");
                let again = config(&Over([(dump.clone(), text)].into()), &dump);
                let expected = if secrets == Secrets::Masked { masked(loaded.config) } else { loaded.config };
                if again != expected {
                    wrong.push(format!("{secrets:?}: {}", path.display()));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn a_plan_is_empty_exactly_when_nothing_differs() {
        let configs: Vec<(PathBuf, Config)> = corpus().into_iter().map(|path| (path.clone(), config(&Over::default(), &path))).collect();
        let mut wrong = Vec::new();
        for pair in configs.windows(2) {
            let [(path, old), (_, new)] = pair else { continue };
            if !plan(old, old).is_empty() {
                wrong.push(format!("{}: {:?}", path.display(), plan(old, old)));
            }
            if plan(old, new).is_empty() != (old == new) {
                wrong.push(format!("{} and the next: {:?}", path.display(), plan(old, new)));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn the_samples_are_laid_out() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/keepalived/keepalived.conf.sample");
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(layout::format(&text), text);
    }
}
