//! Whether a schema may change the way it did: fields may be added within a version, and nothing
//! that was accepted yesterday may be refused today.

use std::fmt;

use serde_json::Value;

use super::resolved;
use super::rules::below;

/// One change that would break a publisher or a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// Where in the data: an RFC 6901 pointer, `/*` for the elements of a list, empty at the top.
    pub pointer: String,
    /// What became narrower: a stable word.
    pub rule: &'static str,
}

impl fmt::Display for Break {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "/" } else { &self.pointer };
        write!(out, "{place}: {}; publish a new version instead", explained(self.rule))
    }
}

fn explained(rule: &str) -> &'static str {
    match rule {
        "removed" => "a property was removed or renamed",
        "required" => "a property became required",
        "type" => "the type changed",
        "enum" => "a word was taken out of the set",
        "pattern" => "the pattern changed",
        "format" => "the format changed",
        "closed" => "unknown members are no longer allowed",
        _ => "a limit became narrower",
    }
}

/// Everything in `new` that refuses or hides what `old` allowed. Empty: the change is allowed
/// within the version.
#[must_use]
pub fn compatibility(old: &Value, new: &Value) -> Vec<Break> {
    let mut breaks = Vec::new();
    let roots = Roots { old, new };
    compare(&roots, old, new, "", &mut breaks);
    breaks
}

struct Roots<'a> {
    old: &'a Value,
    new: &'a Value,
}

fn compare(roots: &Roots<'_>, old: &Value, new: &Value, at: &str, breaks: &mut Vec<Break>) {
    let (old, new) = (resolved(roots.old, old), resolved(roots.new, new));
    let mut found = |rule| breaks.push(Break { pointer: at.to_owned(), rule });
    if old.get("type") != new.get("type") {
        found("type");
    }
    for (word, rule) in [("pattern", "pattern"), ("format", "format"), ("const", "enum")] {
        if new.get(word).is_some() && old.get(word) != new.get(word) {
            found(rule);
        }
    }
    if is_narrower_set(old.get("enum"), new.get("enum")) {
        found("enum");
    }
    for word in ["maxLength", "maximum", "maxItems", "maxProperties", "exclusiveMaximum"] {
        if is_lower(new.get(word), old.get(word), f64::INFINITY) {
            found("limit");
        }
    }
    for word in ["minLength", "minimum", "minItems", "minProperties", "exclusiveMinimum"] {
        if is_lower(old.get(word), new.get(word), f64::NEG_INFINITY) {
            found("limit");
        }
    }
    if new.get("additionalProperties") == Some(&Value::Bool(false))
        && old.get("additionalProperties") != new.get("additionalProperties")
    {
        found("closed");
    }
    members(roots, old, new, at, breaks);
}

fn members(roots: &Roots<'_>, old: &Value, new: &Value, at: &str, breaks: &mut Vec<Break>) {
    let required = |schema: &Value| -> Vec<String> {
        let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let before = required(old);
    for name in required(new).iter().filter(|it| !before.contains(it)) {
        breaks.push(Break { pointer: below(at, name), rule: "required" });
    }
    for (name, was) in old.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let at = below(at, name);
        match new.get("properties").and_then(|it| it.get(name)) {
            Some(is) => compare(roots, was, is, &at, breaks),
            None => breaks.push(Break { pointer: at, rule: "removed" }),
        }
    }
    match (old.get("items"), new.get("items")) {
        (Some(was), Some(is)) => compare(roots, was, is, &format!("{at}/*"), breaks),
        (None, Some(_)) => breaks.push(Break { pointer: format!("{at}/*"), rule: "type" }),
        (_, None) => {}
    }
}

/// Whether a set lost a word, or appeared where any value was allowed.
fn is_narrower_set(old: Option<&Value>, new: Option<&Value>) -> bool {
    match (old.and_then(Value::as_array), new.and_then(Value::as_array)) {
        (Some(old), Some(new)) => old.iter().any(|it| !new.contains(it)),
        (None, Some(_)) => true,
        (_, None) => false,
    }
}

/// Whether one limit is below another; where there is none, `absent` stands for it.
fn is_lower(left: Option<&Value>, right: Option<&Value>, absent: f64) -> bool {
    let number = |it: Option<&Value>| it.and_then(Value::as_f64).unwrap_or(absent);
    number(left) < number(right)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn old() -> Value {
        json!({
            "type": "object",
            "properties": {
                "a": {"type": "string", "maxLength": 60, "enum": ["x", "y"]},
                "n": {"type": "integer", "minimum": 1, "maximum": 10},
                "list": {"type": "array", "items": {"type": "object", "properties": {"b": {"type": "string"}}}},
                "price": {"$ref": "#/$defs/money"}
            },
            "required": ["a"],
            "additionalProperties": true,
            "$defs": {"money": {"type": "object", "properties": {"amount": {"type": "integer", "maximum": 100}}}}
        })
    }

    fn broken(change: impl FnOnce(&mut Value)) -> Vec<(String, &'static str)> {
        let mut new = old();
        change(&mut new);
        compatibility(&old(), &new).into_iter().map(|it| (it.pointer, it.rule)).collect()
    }

    fn one(pointer: &str, rule: &'static str) -> Vec<(String, &'static str)> {
        vec![(pointer.to_owned(), rule)]
    }

    #[test]
    fn a_field_may_be_added_and_a_limit_widened() {
        let none = broken(|it| {
            it["properties"]["new"] = json!({"type": "string"});
            it["properties"]["a"]["maxLength"] = json!(120);
            it["properties"]["a"]["enum"] = json!(["x", "y", "z"]);
            it["properties"]["n"]["minimum"] = json!(0);
            it["required"] = json!([]);
            it["description"] = json!("better words");
        });
        assert_eq!(none, []);
    }

    #[test]
    fn nothing_is_removed_renamed_or_demanded() {
        let removed = broken(|it| {
            it["properties"].as_object_mut().unwrap().remove("n");
        });
        assert_eq!(removed, one("/n", "removed"));
        assert_eq!(broken(|it| it["required"] = json!(["a", "n"])), one("/n", "required"));
        let hidden = broken(|it| it["additionalProperties"] = json!(false));
        assert_eq!(hidden, one("", "closed"));
    }

    #[test]
    fn nothing_is_narrowed_wherever_it_stands() {
        let narrowed = |pointer: &str, value: Value| {
            broken(|it| {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                it.pointer_mut(parent).unwrap()[name] = value;
            })
        };
        assert_eq!(narrowed("/properties/a/type", json!("integer")), one("/a", "type"));
        assert_eq!(narrowed("/properties/a/maxLength", json!(59)), one("/a", "limit"));
        assert_eq!(narrowed("/properties/a/minLength", json!(1)), one("/a", "limit"));
        assert_eq!(narrowed("/properties/a/enum", json!(["x"])), one("/a", "enum"));
        assert_eq!(narrowed("/properties/a/pattern", json!("^x$")), one("/a", "pattern"));
        assert_eq!(narrowed("/properties/n/maximum", json!(9)), one("/n", "limit"));
        assert_eq!(narrowed("/properties/n/enum", json!([1])), one("/n", "enum"));
        let inner = "/properties/list/items/properties/b/type";
        assert_eq!(narrowed(inner, json!("integer")), one("/list/*/b", "type"));
        let amount = "/$defs/money/properties/amount/maximum";
        assert_eq!(narrowed(amount, json!(99)), one("/price/amount", "limit"));
    }
}
