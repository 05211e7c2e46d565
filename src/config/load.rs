//! A file, and what it includes, into the validated configuration.

use super::keywords::ROOT;
use super::model::Config;
use super::read::{self, InterfaceUse, Reader, finish};
use crate::syntax::gather::gather;
use crate::syntax::parse::parse;
use crate::syntax::preprocess::Line;
use crate::syntax::source::Places;
use crate::syntax::{Complaint, Complaints, Diagnostic, Files, Included, PreprocessOptions, Report, Sources, Tree, Verdict, preprocess};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// What the command line says about reading the configuration.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// `-i`: what `@id` lines are compared with; else the host's name up to its first dot.
    pub config_id: String,
    /// `-e`: an include that names no file is an error.
    pub all_includes: bool,
    /// `-t`: the configuration is only tested.
    pub config_test: bool,
}

/// A configuration always comes out: what the original tolerates is tolerated, and the report says what.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What can be used.
    pub config: Config,
    /// Every problem.
    pub report: Report,
    /// An error for each use of an interface (of each interface's first use, when this is no test), by its name: holds when the
    /// interface does not exist. None with `dynamic_interfaces`.
    pub interfaces: Vec<(String, Diagnostic)>,
}

impl Loaded {
    /// Adds to the report what names an interface that does not exist: the original does not start then.
    pub fn require_interfaces(&mut self, exists: impl Fn(&str) -> bool) {
        self.report.add(self.interfaces.drain(..).filter(|(name, _)| !exists(name)).map(|(_, error)| error));
    }
}

/// A configuration as it was written, while it is there.
pub(super) struct Written<'r, 's> {
    pub(super) tree: &'r Tree<'s, Reader>,
    pub(super) sources: &'r Sources,
    pub(super) includes: &'r [Included],
    /// Lines that have content; none for TOML.
    pub(super) lines: &'r [Line],
}

/// Reads `main` and everything it includes.
pub fn load(files: &dyn Files, main: &Path, options: &LoadOptions) -> Loaded {
    load_and(files, main, options, |_, _, _| ()).0
}

/// The same, and what a look at it as it was written gives, which may find more problems; nothing when it could not be read.
pub(super) fn load_and<T>(
    files: &dyn Files,
    main: &Path,
    options: &LoadOptions,
    look: impl FnOnce(&Written<'_, '_>, &Config, &mut Complaints) -> T,
) -> (Loaded, Option<T>) {
    let mut complaints = Complaints::default();
    if is_toml(main) {
        return match gather(files, main, options.all_includes, &mut complaints) {
            Ok(gathered) => {
                let tree = gathered.parse(ROOT, &mut complaints);
                let text = Written { tree: &tree, sources: &gathered.sources, includes: &gathered.includes, lines: &[] };
                understand(text, complaints, options, look)
            }
            Err(error) => (unreadable(main, &error), None),
        };
    }
    let preprocessing = PreprocessOptions { config_id: options.config_id.clone(), all_includes: options.all_includes };
    match preprocess(files, main, &preprocessing, &mut complaints) {
        Ok(text) => {
            let tree = parse(&text, ROOT, &mut complaints);
            let text = Written { tree: &tree, sources: &text.sources, includes: &text.includes, lines: &text.lines };
            understand(text, complaints, options, look)
        }
        Err(error) => (unreadable(main, &error), None),
    }
}

/// Whether a file is read as TOML: its name ends in `.toml`.
pub fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("toml"))
}

/// Reads one text that includes nothing, for tests and tools.
pub fn load_text(text: &str) -> Loaded {
    load(&OneFile(text), Path::new("keepalived.conf"), &LoadOptions::default())
}

fn understand<T>(
    written: Written<'_, '_>,
    mut complaints: Complaints,
    options: &LoadOptions,
    look: impl FnOnce(&Written<'_, '_>, &Config, &mut Complaints) -> T,
) -> (Loaded, Option<T>) {
    let sources = written.sources;
    let mut reader = read::read(&written.tree.items, Reader::default());
    let config = finish::config(&mut reader);
    let mut uses = std::mem::take(&mut reader.interfaces);
    if config.global.vrrp.dynamic_interfaces {
        uses.clear();
    } else if !options.config_test {
        let mut seen = HashSet::new();
        uses.retain(|used| seen.insert(used.name.clone()));
    }
    let interfaces = errors(uses, sources);
    complaints.append(reader.into_complaints());
    let seen = look(&written, &config, &mut complaints);
    (Loaded { config, report: Report::new(complaints, sources), interfaces }, Some(seen))
}

fn errors(uses: Vec<InterfaceUse>, sources: &Sources) -> Vec<(String, Diagnostic)> {
    let mut places = Places::new(sources);
    let complain = |used: InterfaceUse| {
        let message = format!("interface {} for {} doesn't exist", used.name, used.purpose);
        let complaint = Complaint::error(used.span, message).verdict(Verdict::Unusable);
        let complaint = complaint
            .rule("interface-missing")
            .help("correct the name, or write dynamic_interfaces in global_defs to wait for it".to_owned());
        (used.name, Diagnostic::new(complaint, &mut places))
    };
    uses.into_iter().map(complain).collect()
}

fn unreadable(main: &Path, error: &io::Error) -> Loaded {
    Loaded { config: Config::default(), report: Report::unreadable(main, &error.to_string()), interfaces: Vec::new() }
}

struct OneFile<'t>(&'t str);

impl Files for OneFile<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == Path::new("keepalived.conf") { Ok(self.0.as_bytes().to_vec()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn glob(&self, _: &str) -> Vec<PathBuf> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_names_the_interfaces_that_are_not_there() {
        let text = "vrrp_instance A {\n interface eth9\n virtual_router_id 1\n virtual_ipaddress {\n 10.0.0.1 dev eth8\n }\n}\n";
        let options = LoadOptions { config_test: true, ..LoadOptions::default() };
        let mut loaded = load(&OneFile(text), Path::new("keepalived.conf"), &options);
        loaded.require_interfaces(|name| name == "eth8");
        let lines: Vec<_> = loaded.report.diagnostics().iter().map(Diagnostic::one_line).collect();
        let cure = "correct the name, or write dynamic_interfaces in global_defs to wait for it";
        assert_eq!(lines, [format!("keepalived.conf:2:12: error: interface eth9 for vrrp_instance A doesn't exist; {cure}")]);
        assert_eq!(loaded.report.test_exit_code(), 5);
        assert_eq!((loaded.report.refuses_start(), loaded.report.refuses_reload()), (Some(2), true));
    }

    #[test]
    fn with_dynamic_interfaces_they_may_come_later() {
        let text = "global_defs {\n dynamic_interfaces\n}\nvrrp_instance A {\n interface eth9\n virtual_router_id 1\n}\n";
        assert!(load_text(text).interfaces.is_empty());
        assert_eq!(load_text(&text.replace(" dynamic_interfaces\n", "")).interfaces.len(), 1);
    }

    #[test]
    fn an_include_of_nothing_stops_a_start_only_when_asked_to() {
        let status = |text: &str, all_includes: bool| {
            let options = LoadOptions { all_includes, ..LoadOptions::default() };
            let report = load(&OneFile(text), Path::new("keepalived.conf"), &options).report;
            (report.refuses_start(), report.refuses_reload())
        };
        assert_eq!(status("include a.conf", false), (None, true));
        assert_eq!(status("include *.x", false), (None, false));
        assert_eq!(status("include *.x", true), (Some(6), true));
        assert_eq!(status("includem a.conf", false), (Some(6), true));
        assert_eq!(status("includew *.x", false), (Some(6), true));
        assert_eq!(load(&OneFile(""), Path::new("other.conf"), &LoadOptions::default()).report.refuses_start(), Some(6));
    }

    #[test]
    fn toml_and_text_say_the_same() {
        let read = |name: &str, bytes: &'static [u8]| {
            struct Bytes(&'static [u8]);
            impl Files for Bytes {
                fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
                    Ok(self.0.to_vec())
                }
                fn glob(&self, _: &str) -> Vec<PathBuf> {
                    Vec::new()
                }
            }
            load(&Bytes(bytes), Path::new(name), &LoadOptions::default())
        };
        let text = read("a.conf", include_bytes!("../../tests/configs/ok/everything.conf"));
        let toml = read("a.toml", include_bytes!("../../tests/configs/ok/everything.toml"));
        assert_eq!(text.config, toml.config);
        assert_eq!(toml.config.instances.len(), 2);
        let messages = |loaded: &Loaded| loaded.report.diagnostics().iter().map(|found| found.message.clone()).collect::<Vec<_>>();
        assert_eq!(messages(&text), messages(&toml));
    }

    #[test]
    fn one_file_serves_many_hosts() {
        let text = include_str!("../../tests/configs/ok/definitions.conf");
        let files = OneFile(text);
        let loaded = load(&files, Path::new("keepalived.conf"), &LoadOptions { config_id: "lab".to_owned(), ..LoadOptions::default() });
        assert_eq!(loaded.report.diagnostics(), &[]);
        let shown: Vec<_> = loaded
            .config
            .instances
            .iter()
            .map(|instance| {
                let addresses: Vec<_> = instance.addresses.iter().map(|address| address.prefix.to_string()).collect();
                format!("{} {} {}", instance.name, instance.priority, addresses.join(" "))
            })
            .collect();
        let expected = [
            "VI_1 110 10.2.0.1/24",
            "VI_2 110 10.2.0.2/24",
            "VI_3 110 10.2.0.3/24",
            "VI_20 110 10.2.7.20/24",
            "VI_21 110 10.2.7.21/24",
            "VI_X 100 fe80::1:e/64 fe80::1:f/64 fe80::1:10/64 fe80::2:e/64 fe80::2:f/64 fe80::2:10/64 fe80::3:4/64 fe80::5:6/64",
        ];
        assert_eq!(shown, expected);
        assert_eq!(loaded.config.global.router_id.as_deref(), Some("lab-x"));
        assert_eq!(loaded.config.global.mail.from.as_deref(), Some("a#b"));
    }
}
