//! JSON Schema (draft 2020-12) of the TOML form.

use super::{Entry, Row, every};
use crate::config::keywords::ROOT;
use crate::config::read::Reader;
use crate::syntax::Shape;
use crate::syntax::keyword::{Table, rows};
use serde_json::{Map, Value, json};

/// The schema: editors complete and check `keepalived.toml` with it.
pub fn schema() -> Value {
    let mut blocks = Map::new();
    every(|Entry { row, .. }| {
        if let Shape::Block(table) = row.shape {
            blocks.entry(row.name).or_insert_with(|| object(table));
        }
    });
    blocks.insert("words".to_owned(), json!({"anyOf": [scalar(), {"type": "array", "items": scalar()}]}));
    blocks.insert("lines".to_owned(), json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/words"}}]}));
    let mut root = object(ROOT);
    if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
        let names = json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]});
        let here = json!({"type": "object", "properties": {"file": names}, "required": ["file"], "additionalProperties": false});
        for keyword in ["include", "includer", "includem", "includew", "includeb", "includea"] {
            let include = json!({
                "description": "other TOML files to read, relative to this one; a table [[include]] is read where it stands",
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": [{"type": "string"}, here]}}, here],
            });
            properties.insert(keyword.to_owned(), include);
        }
    }
    let head = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "keepalived.toml", "$defs": blocks});
    let merged = [head, root].into_iter().filter_map(|part| if let Value::Object(map) = part { Some(map) } else { None }).flatten();
    Value::Object(merged.collect())
}

fn scalar() -> Value {
    json!({"type": ["string", "number", "boolean"]})
}

fn object(table: Table<Reader>) -> Value {
    let properties: Map<String, Value> = rows(table).map(|row| (row.name.to_owned(), property(row))).collect();
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn property(row: &Row) -> Value {
    let mut value = match row.shape {
        Shape::Line => line(row),
        Shape::List if row.max > 0 => json!({"type": "object", "additionalProperties": {"$ref": "#/$defs/lines"}}),
        Shape::List => json!({"$ref": "#/$defs/lines"}),
        Shape::Block(_) => {
            let block = json!({"$ref": format!("#/$defs/{}", row.name)});
            let some = json!({"anyOf": [block, {"type": "array", "items": block}]});
            if row.max == 0 { some } else { json!({"type": "object", "additionalProperties": some}) }
        }
    };
    if let Some(map) = value.as_object_mut() {
        map.insert("description".to_owned(), json!(description(row)));
        if row.renamed.is_some() {
            map.insert("deprecated".to_owned(), json!(true));
        }
    }
    value
}

fn description(row: &Row) -> String {
    let mut text = row.means.to_owned();
    if !row.args.is_empty() {
        text.push_str(&format!(" ({})", row.args));
    }
    for (label, fact) in [("range", row.range), ("default", row.default)].into_iter().filter(|(_, fact)| !fact.is_empty()) {
        text.push_str(&format!("; {label}: {fact}"));
    }
    text
}

fn line(row: &Row) -> Value {
    if row.max == 0 {
        return json!({"type": "boolean"});
    }
    let switch = row.args.starts_with("[on|off");
    let one = if switch {
        json!({"enum": [true, false, "on", "off", "true", "false", "yes", "no"]})
    } else if row.max > 1 {
        json!({"$ref": "#/$defs/words"})
    } else {
        single(row)
    };
    if row.min == 0 && !switch {
        return json!({"anyOf": [{"type": "boolean"}, one, {"type": "array", "items": one}]});
    }
    json!({"anyOf": [one, {"type": "array", "items": one}]})
}

/// One word: a choice, a number of a range, or anything.
fn single(row: &Row) -> Value {
    let bare = row.args.trim_matches(['[', ']']);
    let choice = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) && !word.contains("..")
    };
    let placeholder = |word: &str| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase()) && row.unit().is_some();
    if bare.contains('|') && bare.split('|').all(|word| choice(word) && !placeholder(word)) && !bare.contains("LENGTH") {
        let words: Vec<Value> =
            bare.split('|').flat_map(|word| [Some(json!(word)), word.parse::<f64>().ok().map(|_| number(word))]).flatten().collect();
        return json!({"enum": words});
    }
    let written = if bare.contains("..") { bare } else { row.range };
    match bounds(written) {
        Some((low, high)) => json!({"anyOf": [{"type": "number", "minimum": low, "maximum": high}, {"type": "string"}]}),
        None => scalar(),
    }
}

/// A number as TOML has it: `2`, `1.0`.
fn number(word: &str) -> Value {
    word.parse::<i64>().map_or_else(|_| json!(word.parse::<f64>().unwrap_or(0.0)), |whole| json!(whole))
}

/// `1..255`.
fn bounds(text: &str) -> Option<(f64, f64)> {
    let (low, high) = text.split_once("..")?;
    Some((low.parse().ok()?, high.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As much of JSON Schema as the schema uses.
    fn fits(schema: &Value, value: &Value, root: &Value) -> Result<(), String> {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = root.pointer(reference.trim_start_matches('#')).ok_or_else(|| format!("no {reference}"))?;
            fits(target, value, root)?;
        }
        if let Some(choices) = schema.get("anyOf").and_then(Value::as_array)
            && !choices.iter().any(|choice| fits(choice, value, root).is_ok())
        {
            return Err(format!("{value} fits none of {choices:?}"));
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array)
            && !words.contains(value)
        {
            return Err(format!("{value} is not one of {words:?}"));
        }
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let allowed = match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
            Some(one) => one == kind,
            None => true,
        };
        if !allowed {
            return Err(format!("{value} is {kind}"));
        }
        let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
        if let Some(number) = value.as_f64()
            && (limit("minimum").is_some_and(|low| number < low) || limit("maximum").is_some_and(|high| number > high))
        {
            return Err(format!("{number} is out of range"));
        }
        if let (Some(items), Some(array)) = (schema.get("items"), value.as_array()) {
            array.iter().try_for_each(|item| fits(items, item, root))?;
        }
        let Some(map) = value.as_object() else { return Ok(()) };
        for (key, value) in map {
            match (schema.pointer(&format!("/properties/{key}")), schema.get("additionalProperties")) {
                (Some(property), _) => fits(property, value, root).map_err(|why| format!("{key}: {why}"))?,
                (None, Some(Value::Bool(false))) => return Err(format!("{key} is unknown")),
                (None, Some(other)) => fits(other, value, root).map_err(|why| format!("{key}: {why}"))?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn check(toml: &str) -> Result<(), String> {
        let value: Value = toml::from_str(toml).map_err(|error| error.to_string())?;
        let schema = schema();
        fits(&schema, &value, &schema)
    }

    #[test]
    fn good_files_fit() {
        check(include_str!("../../../tests/configs/ok/everything.toml")).unwrap();
        check(include_str!("../../../etc/keepalived/keepalived.toml.sample")).unwrap();
        for form in crate::config::manual::tests::FORMS {
            check(form).unwrap();
        }
    }

    #[test]
    fn slips_do_not() {
        for bad in [
            "[global_defs]\nroute_id = \"x\"",
            "[vrrp_instance.A]\npriority = 300",
            "[vrrp_instance.A]\nstate = \"MASTR\"",
            "[vrrp_instance.A]\nnopreempt = \"x\"",
            "[vrrp_instance]\ninterface = \"eth0\"",
            "[virtual_server.\"10.0.0.1 80\".real_server.\"10.0.0.2 80\".TCP_CHEK]\n",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
