//! Findings as text, JSON and SARIF.

use crate::config::lint::{RULES, Rule, rule};
use crate::config::{Diagnostic, Edit, Position, Severity};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// For people: what, where, why, what to do.
pub(super) fn text(found: &[Diagnostic]) -> String {
    let mut text = String::new();
    for one in found {
        text.push_str(&one.render());
        if let Some(rule) = rule(one.rule).filter(|rule| rule.id != "reader") {
            let _ = writeln!(text, "  = why: {} [{}]", rule.reason, rule.id);
        }
        if one.fix.is_some() {
            text.push_str("  = --fix mends this\n");
        }
        text.push('\n');
    }
    let count = |severity| found.iter().filter(|one| one.severity == severity).count();
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    let _ = writeln!(text, "{errors} errors, {warnings} warnings, {notes} notes");
    text
}

/// Every rule: how bad a finding is, why, what to do.
pub(super) fn rules() -> String {
    let one = |rule: &Rule| format!("{} ({})\n  why:  {}\n  cure: {}\n", rule.id, rule.severity.word(), rule.reason, rule.cure);
    RULES.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// One object: the findings in their order, and how many of each kind.
pub(super) fn json(file: &Path, found: &[Diagnostic]) -> String {
    let count = |severity| found.iter().filter(|one| one.severity == severity).count();
    let findings: Vec<Value> = found.iter().map(finding).collect();
    let summary = json!({
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "notes": count(Severity::Note),
    });
    format!("{:#}\n", json!({"file": file.to_string_lossy(), "findings": findings, "summary": summary}))
}

fn finding(one: &Diagnostic) -> Value {
    let place =
        one.place.as_ref().map(|at| json!({"path": at.path.to_string_lossy(), "line": at.line, "column": at.column, "width": at.width}));
    let defined: Vec<Value> = one
        .expansion
        .iter()
        .flat_map(|line| &line.origins)
        .map(|(name, at)| json!({"name": name, "path": at.path.to_string_lossy(), "line": at.line}))
        .collect();
    let rule = rule(one.rule);
    json!({
        "rule": one.rule,
        "severity": one.severity.word(),
        "message": one.message,
        "place": place,
        "expected": one.expected,
        "help": one.help,
        "reason": rule.map(|rule| rule.reason),
        "cure": rule.map(|rule| rule.cure),
        "defined": defined,
        "fixable": one.fix.is_some(),
    })
}

/// SARIF 2.1.0: what code scanning of forges and editors takes.
pub(super) fn sarif(found: &[Diagnostic]) -> String {
    let level = |severity| match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": {"text": rule.reason},
                "help": {"text": rule.cure},
                "defaultConfiguration": {"level": level(rule.severity)},
            })
        })
        .collect();
    let results: Vec<Value> = found
        .iter()
        .map(|one| {
            let locations: Vec<Value> = one
                .place
                .iter()
                .map(|at| {
                    json!({"physicalLocation": {
                        "artifactLocation": {"uri": uri(&at.path)},
                        "region": {"startLine": at.line, "startColumn": at.column, "endColumn": at.column + at.width},
                    }})
                })
                .collect();
            let message = one.help.as_ref().map_or_else(|| one.message.clone(), |help| format!("{}; {help}", one.message));
            let index = RULES.iter().position(|rule| rule.id == one.rule);
            let fixes: Vec<Value> = one.fix.iter().zip(&one.place).map(|(fix, at)| change(fix, at)).collect();
            json!({
                "ruleId": one.rule,
                "ruleIndex": index,
                "level": level(one.severity),
                "message": {"text": message},
                "locations": locations,
                "fixes": fixes,
            })
        })
        .collect();
    let driver = json!({"name": "keepalivedctl check", "version": env!("CARGO_PKG_VERSION"), "rules": rules});
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    });
    format!("{log:#}\n")
}

/// A path as a URI reference (RFC 3986): whatever it may not hold is escaped.
fn uri(path: &Path) -> String {
    let mut uri = if path.is_absolute() { "file://".to_owned() } else { String::new() };
    for byte in path.to_string_lossy().bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

/// A `fix` object: bytes that go, text that comes.
fn change(fix: &Edit, at: &Position) -> Value {
    let (start, length) = (fix.range.start, fix.range.len());
    json!({
        "description": {"text": format!("write '{}'", fix.with)},
        "artifactChanges": [{
            "artifactLocation": {"uri": uri(&at.path)},
            "replacements": [{
                "deletedRegion": {"byteOffset": start, "byteLength": length},
                "insertedContent": {"text": fix.with},
            }],
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    #[test]
    fn every_form_says_rule_place_and_cure() {
        let loaded = load_text("global_defs {\nroute_id x\n}\n");
        let found = loaded.report.diagnostics();
        let told = text(found);
        assert!(
            told.contains("[unknown-keyword]") && told.contains("--fix mends this") && told.ends_with("1 errors, 0 warnings, 0 notes\n"),
            "{told}"
        );
        let value: Value = serde_json::from_str(&json(Path::new("x.conf"), found)).unwrap();
        assert_eq!(value.pointer("/findings/0/rule"), Some(&json!("unknown-keyword")));
        assert_eq!(value.pointer("/findings/0/place/line"), Some(&json!(2)));
        assert_eq!(value.pointer("/summary/errors"), Some(&json!(1)));
        let value: Value = serde_json::from_str(&sarif(found)).unwrap();
        assert_eq!(value.pointer("/runs/0/results/0/ruleId"), Some(&json!("unknown-keyword")));
        assert_eq!(value.pointer("/runs/0/results/0/locations/0/physicalLocation/region/startLine"), Some(&json!(2)));
        let known = value.pointer("/runs/0/tool/driver/rules").and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!(known, RULES.len());
    }

    /// What SARIF 2.1.0 demands of each object that we write (its schema's `required`, `enum`, `minimum` and `format`).
    #[test]
    fn the_sarif_is_of_the_shape_that_its_schema_demands() {
        let text = "global_defs {\nroute_id x\nvrrp_garp_interval 0\n}\nvrrp_instance A {\nstate MASTER`\n}\n";
        let loaded = load_text(text);
        let log: Value = serde_json::from_str(&sarif(loaded.report.diagnostics())).unwrap();
        assert_eq!(log["version"], "2.1.0");
        assert!(log["$schema"].as_str().is_some_and(|uri| uri.starts_with("https://") && uri.contains("sarif-2.1.0")));
        let run = &log["runs"][0];
        assert!(["utf16CodeUnits", "unicodeCodePoints"].contains(&run["columnKind"].as_str().unwrap()));
        let driver = &run["tool"]["driver"];
        assert!(driver["name"].is_string() && driver["version"].is_string());
        let levels = ["none", "note", "warning", "error"];
        let rules = driver["rules"].as_array().unwrap();
        for rule in rules {
            assert!(rule["id"].is_string() && rule["shortDescription"]["text"].is_string() && rule["help"]["text"].is_string());
            assert!(levels.contains(&rule["defaultConfiguration"]["level"].as_str().unwrap()));
        }
        let results = run["results"].as_array().unwrap();
        assert!(results.len() >= 3, "{results:?}");
        let mut fixes = 0;
        for result in results {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert!(result["message"]["text"].is_string() && levels.contains(&result["level"].as_str().unwrap()));
            for place in result["locations"].as_array().unwrap() {
                let place = &place["physicalLocation"];
                assert!(place["artifactLocation"]["uri"].as_str().is_some_and(|uri| !uri.contains([' ', '%', '"'])));
                let region = &place["region"];
                let number = |name: &str| region[name].as_u64().unwrap();
                assert!(number("startLine") >= 1 && number("startColumn") >= 1 && number("endColumn") > number("startColumn"));
            }
            for fix in result["fixes"].as_array().unwrap() {
                let change = &fix["artifactChanges"][0];
                assert!(change["artifactLocation"]["uri"].is_string());
                let deleted = &change["replacements"][0]["deletedRegion"];
                let number = |name: &str| usize::try_from(deleted[name].as_u64().unwrap()).unwrap();
                assert!(text.get(number("byteOffset")..number("byteOffset") + number("byteLength")).is_some());
                fixes += 1;
            }
        }
        assert!(fixes >= 2, "{fixes}");
    }

    #[test]
    fn a_path_becomes_a_uri() {
        assert_eq!(uri(Path::new("/etc/keepalived/a b#1.conf")), "file:///etc/keepalived/a%20b%231.conf");
        assert_eq!(uri(Path::new("conf.d/x.conf")), "conf.d/x.conf");
    }

    #[test]
    fn every_rule_is_printed_with_reason_and_cure() {
        let told = rules();
        assert!(RULES.iter().all(|rule| told.contains(rule.id) && told.contains(rule.reason) && told.contains(rule.cure)));
    }
}
