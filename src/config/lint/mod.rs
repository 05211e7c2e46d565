//! What is allowed but unwise, or wrong in a way that no single line shows: rules over one configuration, and over two nodes' (`peer`).

mod addresses;
mod balancer;
#[cfg(test)]
mod cases;
mod instances;
pub mod peer;
mod rules;
mod scripts;
mod sessions;
mod words;

pub use rules::{RULES, Rule, rule};

use super::load::{LoadOptions, Loaded, Written, load_and};
use super::model::Config;
use super::read::Line;
use crate::syntax::diagnostic::is_secret;
use crate::syntax::{Complaint, Complaints, Files, Sources, Span};
use crate::vrrp::settings::Settings;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// A configuration, everything the reader and the rules say about it, and what else is worth a look on the machine.
#[derive(Clone, Debug)]
pub struct Linted {
    /// The configuration; the report has the rules' findings too.
    pub loaded: Loaded,
    /// Files that hold a secret: nobody but their owner should read them.
    pub secret_files: BTreeSet<PathBuf>,
    /// Every file that was read, the main one first.
    pub files: Vec<PathBuf>,
    /// Where instances and their addresses stand, for what only the machine can tell.
    pub places: Places,
}

/// Where something stands: made into a diagnostic by [`Places::at`].
#[derive(Clone, Debug, Default)]
pub struct Places {
    found: HashMap<Place, crate::syntax::Diagnostic>,
}

/// What can be pointed at.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    /// An instance's name.
    Instance(String),
    /// The line of a virtual address: instance, and the line's first word.
    Address(String, String),
}

impl Places {
    /// A diagnostic of that place: `None` when it stands nowhere.
    pub fn at(&self, place: &Place, rule: &Rule, message: String) -> Option<crate::syntax::Diagnostic> {
        let found = self.found.get(place)?.clone();
        let cure = Some(rule.cure.to_owned());
        Some(crate::syntax::Diagnostic { severity: rule.severity, rule: rule.id, message, help: cure, ..found })
    }
}

/// Reads a configuration and holds every rule against it.
pub fn lint(files: &dyn Files, main: &Path, options: &LoadOptions) -> Linted {
    let (loaded, seen) = load_and(files, main, options, |written, config, complaints| {
        let subject = Subject::new(written, config);
        for rule in RULES {
            if let Some(find) = rule.find {
                find(&subject, &mut Found { rule, complaints });
            }
        }
        (subject.secret_files(), subject.sources.iter().map(|file| file.path().to_owned()).collect(), subject.places())
    });
    let (secret_files, files, places) = seen.unwrap_or_default();
    Linted { loaded, secret_files, files, places }
}

/// What a rule looks at.
struct Subject<'w, 's> {
    root: &'w [Line<'s>],
    sources: &'w Sources,
    config: &'w Config,
}

/// Where a rule says what it found.
struct Found<'f> {
    rule: &'static Rule,
    complaints: &'f mut Complaints,
}

impl Found<'_> {
    /// A finding with the rule's own cure.
    fn say(&mut self, span: Span, message: impl Into<String>) {
        let complaint = self.finding(span, message);
        self.complaints.push(complaint);
    }

    /// A finding whose cure is certain: `with` instead of `wrong`.
    fn mend(&mut self, span: Span, message: impl Into<String>, wrong: Span, with: impl Into<String>) {
        let complaint = self.finding(span, message).fix(wrong, with);
        self.complaints.push(complaint);
    }

    fn finding(&self, span: Span, message: impl Into<String>) -> Complaint {
        let complaint = match self.rule.severity {
            crate::syntax::Severity::Error => Complaint::error(span, message).verdict(crate::syntax::Verdict::Fine),
            crate::syntax::Severity::Warning => Complaint::remark(span, message),
            crate::syntax::Severity::Note => Complaint::note(span, message),
        };
        complaint.rule(self.rule.id).help(self.rule.cure.to_owned())
    }
}

impl<'w, 's> Subject<'w, 's> {
    fn new(written: &Written<'w, 's>, config: &'w Config) -> Self {
        Self { root: &written.tree.items, sources: written.sources, config }
    }

    /// Root blocks of that keyword.
    fn blocks(&self, keyword: &str) -> impl Iterator<Item = &'w Line<'s>> {
        self.root.iter().filter(move |line| *line.word.text == *keyword)
    }

    /// Instances that can run, with their blocks.
    fn instances(&self) -> impl Iterator<Item = (&'w Settings, &'w Line<'s>)> {
        let config = self.config;
        let mut blocks: HashMap<&str, &'w Line<'s>> = HashMap::new();
        for block in self.blocks("vrrp_instance") {
            if let Some(name) = block.arg(0) {
                blocks.entry(&name.text).or_insert(block);
            }
        }
        config.instances.iter().filter_map(move |instance| Some((&**instance, *blocks.get(instance.name.as_str())?)))
    }

    /// Every line, also in blocks.
    fn every(&self, mut visit: impl FnMut(&'w Line<'s>)) {
        fn walk<'w, 's>(lines: &'w [Line<'s>], visit: &mut impl FnMut(&'w Line<'s>)) {
            for line in lines {
                visit(line);
                walk(&line.children, visit);
            }
        }
        walk(self.root, &mut visit);
    }

    fn secret_files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        self.every(|line| {
            // The SSL block's `key` and the like name files.
            let secret = line.row.is_some()
                && is_secret(&line.word)
                && !line.args.iter().any(|word| word.starts_with('/') || word.starts_with("file:"));
            if let Some(file) = Some(self.sources.written(line.word.span).file).filter(|_| secret).and_then(|file| self.sources.file(file))
            {
                files.insert(file.path().to_owned());
            }
        });
        files
    }

    fn places(&self) -> Places {
        let mut index = crate::syntax::source::Places::new(self.sources);
        let mut found = HashMap::new();
        let mut put = |place: Place, span: Span| {
            found.entry(place).or_insert_with(|| crate::syntax::Diagnostic::new(Complaint::remark(span, ""), &mut index));
        };
        for (instance, block) in self.instances() {
            put(Place::Instance(instance.name.clone()), block.arg_span(0));
            for list in block.children.iter().filter(|line| line.word.starts_with("virtual_ipaddress")) {
                for line in &list.children {
                    put(Place::Address(instance.name.clone(), line.word.to_string()), line.word.span);
                }
            }
        }
        Places { found }
    }
}

/// The last line of that keyword in a block: what counts where a keyword may be written once.
fn last<'w, 's>(block: &'w Line<'s>, keyword: &str) -> Option<&'w Line<'s>> {
    block.children.iter().rev().find(|line| *line.word.text == *keyword)
}

/// Where the line of that keyword is, or the block's name when it is not written.
fn place(block: &Line<'_>, keyword: &str) -> Span {
    last(block, keyword).map_or_else(|| block.arg_span(0), Line::span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    pub(super) struct Texts<'t>(pub(super) &'t [(&'t str, &'t str)]);

    impl Files for Texts<'_> {
        fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
            let found = self.0.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| text.as_bytes().to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        fn glob(&self, _: &str) -> Vec<PathBuf> {
            Vec::new()
        }
    }

    pub(super) fn linted(text: &str) -> Linted {
        lint(&Texts(&[("a.conf", text)]), Path::new("a.conf"), &LoadOptions::default())
    }

    /// The rules that found something, each once.
    pub(super) fn found(text: &str) -> Vec<&'static str> {
        let mut rules: Vec<_> = linted(text).loaded.report.diagnostics().iter().map(|found| found.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    #[test]
    fn every_finding_is_of_a_rule_of_the_table() {
        for (path, text) in CORPUS {
            for diagnostic in linted(text).loaded.report.diagnostics() {
                assert!(rule(diagnostic.rule).is_some(), "{path}: {diagnostic:?}");
            }
        }
    }

    #[test]
    fn every_rule_has_id_reason_and_cure() {
        let mut seen = BTreeSet::new();
        for rule in RULES {
            assert!(seen.insert(rule.id), "{} twice", rule.id);
            assert!(rule.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", rule.id);
            assert!(rule.reason.len() > 20 && rule.cure.len() > 5, "{}", rule.id);
            assert!(!rule.cure.ends_with('.') && !rule.reason.ends_with('.'), "{}", rule.id);
        }
    }

    const CORPUS: &[(&str, &str)] = &[
        ("everything", include_str!("../../../tests/configs/ok/everything.conf")),
        ("strict", include_str!("../../../tests/configs/ok/seed_strict.conf")),
        ("joined", include_str!("../../../tests/configs/bad/seed_nginx_joined.conf")),
        ("mixed", include_str!("../../../tests/configs/bad/mixed.conf")),
        ("secrets", include_str!("../../../tests/configs/bad/secrets.conf")),
    ];

    #[test]
    fn files_with_secrets_are_known() {
        let with = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nauthentication {\nauth_type PASS\nauth_pass 1111\n}\n}\n";
        assert_eq!(linted(with).secret_files.len(), 1);
        assert!(linted("SSL {\nkey /etc/key.pem\n}\n").secret_files.is_empty());
    }
}
