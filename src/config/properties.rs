//! What holds for every text.

use super::convert::{Secrets, convert, understood};
use super::keywords::ROOT;
use super::load::{LoadOptions, load};
use super::{Files, Loaded, load_text};
use crate::syntax::keyword::{Table, rows};
use crate::syntax::layout;
use proptest::prelude::*;
use std::io;
use std::path::{Path, PathBuf};

/// Every path holds the same bytes: an include always finds something.
struct Everywhere(Vec<u8>);

impl Files for Everywhere {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.clone())
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        vec![PathBuf::from(pattern), PathBuf::from("b")]
    }
}

/// One file, and no other.
struct One(String);

impl Files for One {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == Path::new("a.conf") { Ok(self.0.clone().into_bytes()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn glob(&self, _: &str) -> Vec<PathBuf> {
        Vec::new()
    }
}

fn speak(loaded: &Loaded) {
    for found in loaded.report.diagnostics() {
        assert!(!found.message.is_empty() && !found.one_line().contains('\n'), "{found:?}");
        assert!(found.render().lines().count() >= 1);
    }
    // A refusal always has its reason among the diagnostics.
    assert!(loaded.report.refuses_start().is_none() || loaded.report.refuses_reload());
}

fn names<B>(table: Table<B>, depth: usize, found: &mut Vec<&'static str>) {
    for row in rows(table) {
        found.push(row.name);
        if depth > 0 {
            names(row.table(), depth - 1, found);
        }
    }
}

/// Words of the language, in no order at all.
fn vocabulary() -> impl Strategy<Value = String> {
    let mut words = Vec::new();
    names(ROOT, 4, &mut words);
    words.sort_unstable();
    words.dedup();
    let other = [
        "{",
        "}",
        "\n",
        "\n",
        " ",
        "\t",
        "\"",
        "#",
        "!",
        "\\#",
        "\\\n",
        "@lab ",
        "@^lab ",
        "$A=",
        "$A",
        "${A}",
        "${_RANDOM 1 5}",
        "~SEQ(A,1,3) ",
        "~LST(A,x,y) ",
        "include a\n",
        "include *\n",
        "10.0.0.1/24",
        "fe80::1",
        "255",
        "-1",
        "0.5",
        "5s",
        "eth0",
        "MASTER",
        "dev",
        "brd +",
        "weight",
        "主",
        "VI_1",
        "\0",
        "\r",
    ];
    let pick = prop_oneof![3 => proptest::sample::select(words), 4 => proptest::sample::select(other.to_vec())];
    proptest::collection::vec(pick, 0..60).prop_map(|words| words.join(" "))
}

fn option(name: &'static str, values: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    proptest::option::of(values).prop_map(move |value| value.map_or(String::new(), |value| format!("  {name} {value}\n")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        speak(&load_text(&text));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let files = Everywhere(bytes);
        speak(&load(&files, Path::new("a.conf"), &LoadOptions::default()));
        speak(&load(&files, Path::new("a.toml"), &LoadOptions::default()));
    }

    #[test]
    fn no_order_of_known_words_makes_the_reader_panic(text in vocabulary()) {
        let options = LoadOptions { config_id: "lab".to_owned(), ..LoadOptions::default() };
        speak(&load(&Everywhere(text.clone().into_bytes()), Path::new("a.conf"), &options));
        speak(&load(&Everywhere(text.into_bytes()), Path::new("a.toml"), &options));
    }

    #[test]
    fn whatever_was_understood_reads_as_the_same(text in vocabulary()) {
        let options = LoadOptions { config_id: "lab".to_owned(), ..LoadOptions::default() };
        let files = One(text.clone());
        let (loaded, shown) = understood(&files, Path::new("a.conf"), &options, Secrets::Shown);
        prop_assert_eq!(&load(&One(shown.clone()), Path::new("a.conf"), &options).config, &loaded.config, "{}", shown);
        let converted = convert(&files, Path::new("a.conf"), &options);
        if converted.remarks.is_empty() && !text.contains("_RANDOM") {
            prop_assert!(converted.means_the_same(&files, &options), "{}", converted.files[0].text);
        }
    }

    #[test]
    fn a_layout_changes_no_configuration(text in vocabulary()) {
        let laid = layout::format(&text);
        if !text.contains("_RANDOM") {
            let options = LoadOptions { config_id: "lab".to_owned(), ..LoadOptions::default() };
            let config = |text: &str| load(&One(text.to_owned()), Path::new("a.conf"), &options).config;
            prop_assert_eq!(config(&laid), config(&text), "{}", laid);
        }
    }

    #[test]
    fn what_is_written_is_what_is_read(
        vrid in 1_u8..=255, priority in 1_u8..=254, centis in 1_u16..=4095, length in 0_u8..=32, address in any::<u32>(),
        spaces in "[ \t]{1,3}", newline in prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n"), Just(" # x\n"), Just("! {x}\n")],
        delay in option("preempt_delay", (0_u32..=1000).prop_map(|value| value.to_string())),
        down in option("down_timer_adverts", (1_u8..=100).prop_map(|value| value.to_string())),
    ) {
        let address = std::net::Ipv4Addr::from(address);
        let text = format!(
            "vrrp_instance{spaces}VI{newline}{{{newline}version 3{newline}interface{spaces}eth0{newline}virtual_router_id {vrid}{newline}priority {priority}{newline}\
             advert_int {}.{:02}{newline}virtual_ipaddress{spaces}{{{newline}{address}/{length}{newline}}}{newline}{delay}{down}}}",
            centis / 100, centis % 100
        );
        let loaded = load_text(&text);
        prop_assert_eq!(loaded.report.diagnostics(), &[]);
        let read = &loaded.config.instances[0];
        prop_assert_eq!((read.vrid.get(), read.priority.get(), read.advert_interval.get()), (vrid, priority, centis));
        prop_assert_eq!(read.addresses[0].prefix.to_string(), format!("{address}/{length}"));
    }

    #[test]
    fn a_configuration_never_differs_from_itself(text in vocabulary()) {
        let loaded = load_text(&text);
        prop_assert!(super::diff(&loaded.config, &loaded.config).is_empty());
    }
}
