//! Names of tables, scopes, protocols, realms, TOS values and interface groups, as ip(8) knows them from `/etc/iproute2`.

use std::collections::HashMap;

/// A file of iproute2.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Name {
    /// `rt_tables`.
    Table,
    /// `rt_scopes`.
    Scope,
    /// `rt_protos`.
    Protocol,
    /// `rt_realms`.
    Realm,
    /// `rt_dsfield`.
    Tos,
    /// `group`.
    Group,
}

impl Name {
    const ALL: [Self; 6] = [Self::Table, Self::Scope, Self::Protocol, Self::Realm, Self::Tos, Self::Group];

    /// What the file is called.
    const fn file(self) -> &'static str {
        match self {
            Self::Table => "rt_tables",
            Self::Scope => "rt_scopes",
            Self::Protocol => "rt_protos",
            Self::Realm => "rt_realms",
            Self::Tos => "rt_dsfield",
            Self::Group => "group",
        }
    }

    /// What is known without any file.
    const fn built_in(self) -> &'static [(&'static str, u32)] {
        match self {
            Self::Table => &[("default", 253), ("main", 254), ("local", 255)],
            Self::Scope => &[("global", 0), ("universe", 0), ("site", 200), ("link", 253), ("host", 254), ("nowhere", 255)],
            Self::Protocol => &[("redirect", 1), ("kernel", 2), ("boot", 3), ("static", 4), ("ra", 9), ("bird", 12), ("keepalived", 18)],
            Self::Realm => &[("cosmos", 0)],
            Self::Tos => &[],
            Self::Group => &[("default", 0)],
        }
    }
}

/// Every name.
#[derive(Clone, Default, Debug)]
pub(crate) struct Tables(HashMap<Name, HashMap<String, u32>>);

impl Tables {
    /// From the texts of these files, by what they are called; one that is not there says nothing.
    pub(crate) fn read(text_of: impl Fn(&str) -> Option<String>) -> Self {
        let tables = Name::ALL.map(|name| {
            let mut all: HashMap<String, u32> = name.built_in().iter().map(|(word, number)| ((*word).to_owned(), *number)).collect();
            all.extend(text_of(name.file()).iter().flat_map(|text| text.lines().filter_map(entry)));
            (name, all)
        });
        Self(tables.into())
    }

    /// The number of a name, or a number as it is written; at most `most`.
    pub(super) fn number(&self, name: Name, word: &str, most: u32) -> Option<u32> {
        let known = || self.0.get(&name).and_then(|names| names.get(word)).copied();
        super::numbers::any_base(word).and_then(|number| u32::try_from(number).ok()).or_else(known).filter(|number| *number <= most)
    }
}

/// `254 main`
fn entry(line: &str) -> Option<(String, u32)> {
    let mut words = line.split('#').next()?.split_whitespace();
    let number = super::numbers::any_base(words.next()?)?;
    Some((words.next()?.to_owned(), u32::try_from(number).ok()?))
}
