//! Findings as text, JSON and SARIF.

use crate::config::lint::{RULES, rule};
use crate::config::{Diagnostic, Severity};
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
                        "artifactLocation": {"uri": at.path.to_string_lossy()},
                        "region": {"startLine": at.line, "startColumn": at.column, "endColumn": at.column + at.width},
                    }})
                })
                .collect();
            let message = one.help.as_ref().map_or_else(|| one.message.clone(), |help| format!("{}; {help}", one.message));
            json!({"ruleId": one.rule, "level": level(one.severity), "message": {"text": message}, "locations": locations})
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
}
