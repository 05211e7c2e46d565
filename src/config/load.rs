//! A file, and what it includes, into the validated configuration.

use super::keywords::ROOT;
use super::model::Config;
use super::paths::Tables;
use super::read::{InterfaceUse, Reader, whole};
use crate::syntax::gather::gather;
use crate::syntax::parse::{parse, parse_each};
use crate::syntax::preprocess::Line;
use crate::syntax::source::Places;
use crate::syntax::{
    Complaint, Complaints, Diagnostic, Files, Included, PreprocessOptions, Report, Severity, Sources, Span, Tree, Verdict, preprocess,
};
use crate::types::Command;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    /// What only this host can judge, and where it stands.
    written: Uses,
}

/// Uses of interfaces and scripts. Most are in order: their diagnostics are made when one is not.
#[derive(Clone, Debug, Default)]
struct Uses {
    sources: Arc<Sources>,
    /// Every use of an interface (the first of each, when this is no test); none with `dynamic_interfaces`.
    interfaces: Vec<InterfaceUse>,
    /// Where a command stands, by its words.
    scripts: HashMap<Vec<OsString>, Span>,
}

impl Loaded {
    /// Adds to the report what names an interface that does not exist: the original does not start then.
    pub fn require_interfaces(&mut self, exists: impl Fn(&str) -> bool) {
        let mut known: HashMap<String, bool> = HashMap::new();
        let mut uses = std::mem::take(&mut self.written.interfaces);
        uses.retain(|used| match known.get(&used.name) {
            Some(missing) => *missing,
            None => *known.entry(used.name.clone()).or_insert_with(|| !exists(&used.name)),
        });
        let mut places = Places::new(&self.written.sources);
        self.report.add(uses.into_iter().map(|used| missing(used, &mut places)).collect::<Vec<_>>());
    }

    /// A finding about a script, at the line that names it.
    pub fn about_script(&self, command: &Command, severity: Severity, rule: &'static str, message: String) -> Diagnostic {
        let span = self.written.scripts.get(&command.argv).copied();
        let complaint = Complaint { severity, ..Complaint::remark(span, message) };
        Diagnostic::new(complaint.rule(rule), &mut Places::new(&self.written.sources))
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
    load_in_parts(files, main, options, |_, _| ()).0
}

/// The same, and what a look at its files gives. The blocks are read one after the other and not kept: the tree is empty.
pub(super) fn load_in_parts<T>(
    files: &dyn Files,
    main: &Path,
    options: &LoadOptions,
    look: impl FnOnce(&Written<'_, '_>, &Config) -> T,
) -> (Loaded, Option<T>) {
    if is_toml(main) {
        return load_and(files, main, options, |written, config, _| look(written, config));
    }
    let mut complaints = Complaints::default();
    match preprocess(files, main, &preprocessing(options), &mut complaints) {
        Ok(text) => {
            let mut reader = reader(files);
            parse_each(&text, ROOT, &mut complaints, |item| reader.keyword(&item));
            let config = whole::config(&mut reader);
            let tree = Tree { items: Vec::new() };
            let seen = look(&Written { tree: &tree, sources: &text.sources, includes: &text.includes, lines: &text.lines }, &config);
            (conclude(config, reader, text.sources, complaints, options), Some(seen))
        }
        Err(error) => (unreadable(main, &error), None),
    }
}

/// The same, and what a look at it as it was written gives, which may find more problems; nothing when it could not be read.
pub(super) fn load_and<T>(
    files: &dyn Files,
    main: &Path,
    options: &LoadOptions,
    look: impl FnOnce(&Written<'_, '_>, &Config, &mut Complaints) -> T,
) -> (Loaded, Option<T>) {
    let mut complaints = Complaints::default();
    let mut reader = reader(files);
    if is_toml(main) {
        return match gather(files, main, options.all_includes, &mut complaints) {
            Ok(gathered) => {
                let tree = gathered.parse(ROOT, &mut complaints);
                let written = Written { tree: &tree, sources: &gathered.sources, includes: &gathered.includes, lines: &[] };
                let (config, seen) = understand(&written, &mut reader, &mut complaints, look);
                drop(tree);
                (conclude(config, reader, gathered.sources, complaints, options), Some(seen))
            }
            Err(error) => (unreadable(main, &error), None),
        };
    }
    match preprocess(files, main, &preprocessing(options), &mut complaints) {
        Ok(text) => {
            let tree = parse(&text, ROOT, &mut complaints);
            let written = Written { tree: &tree, sources: &text.sources, includes: &text.includes, lines: &text.lines };
            let (config, seen) = understand(&written, &mut reader, &mut complaints, look);
            drop(tree);
            (conclude(config, reader, text.sources, complaints, options), Some(seen))
        }
        Err(error) => (unreadable(main, &error), None),
    }
}

/// One that has read nothing yet.
fn reader(files: &dyn Files) -> Reader {
    Reader::knowing(Tables::read(|name| files.table(name)))
}

fn preprocessing(options: &LoadOptions) -> PreprocessOptions {
    PreprocessOptions { config_id: options.config_id.clone(), all_includes: options.all_includes }
}

/// Whether a file is read as TOML: its name ends in `.toml`.
pub fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("toml"))
}

/// Reads one text that includes nothing, for tests and tools.
pub fn load_text(text: &str) -> Loaded {
    load(&OneFile(text), Path::new("keepalived.conf"), &LoadOptions::default())
}

/// The configuration that a tree says, and what a look at both gives.
fn understand<T>(
    written: &Written<'_, '_>,
    reader: &mut Reader,
    complaints: &mut Complaints,
    look: impl FnOnce(&Written<'_, '_>, &Config, &mut Complaints) -> T,
) -> (Config, T) {
    reader.walk(&written.tree.items);
    let config = whole::config(reader);
    let seen = look(written, &config, complaints);
    (config, seen)
}

/// Everything has been read and understood.
fn conclude(config: Config, mut reader: Reader, sources: Sources, mut complaints: Complaints, options: &LoadOptions) -> Loaded {
    let mut interfaces = std::mem::take(&mut reader.interfaces);
    // VMACs are there when they are needed
    interfaces.retain(|used| !reader.makes_interface(&used.name));
    if config.global.vrrp.dynamic_interfaces {
        interfaces.clear();
    } else if !options.config_test {
        let mut seen = HashSet::new();
        interfaces.retain(|used| seen.insert(used.name.clone()));
    }
    let scripts = std::mem::take(&mut reader.scripts);
    complaints.append(reader.into_complaints());
    let report = Report::new(complaints, &sources);
    Loaded { config, report, written: Uses { sources: Arc::new(sources), interfaces, scripts } }
}

fn missing(used: InterfaceUse, places: &mut Places<'_>) -> Diagnostic {
    let message = format!("interface {} for {} doesn't exist", used.name, used.purpose);
    let complaint = Complaint::error(used.span, message).verdict(Verdict::Unusable).rule("interface-missing");
    let help = "correct the name, or write dynamic_interfaces in global_defs to wait for it";
    Diagnostic::new(complaint.help(help.to_owned()), places)
}

fn unreadable(main: &Path, error: &io::Error) -> Loaded {
    Loaded { config: Config::default(), report: Report::unreadable(main, &error.to_string()), written: Uses::default() }
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
        let missing = |text: &str| {
            let mut loaded = load_text(text);
            loaded.require_interfaces(|_| false);
            loaded.report.diagnostics().len()
        };
        assert_eq!(missing(text) + 1, missing(&text.replace(" dynamic_interfaces\n", "")));
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
