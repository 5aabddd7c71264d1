//! Configurations of streams and consumers, compared: what a promise rests on, what has to be switched
//! off, and what is left to whoever runs the broker. Pure; values are in the server's own field names.

use serde_json::{Map, Value};

/// What is asked of a stream or a consumer.
#[derive(Clone, Copy, Debug)]
pub struct Reliance<'a> {
    /// How it is made.
    pub wanted: &'a Value,
    /// Fields that have to be as wanted.
    pub relied: &'a [&'a str],
    /// Features that nobody may switch on.
    pub off: &'a [&'a str],
    /// Fields that the server fills in.
    pub own: &'a [&'a str],
}

/// One field that is not as it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `SAPA_IN`, or `SAPA_IN/ingest` for a consumer.
    pub object: String,
    /// Name of the field on the server; `exists` when the whole object is missing.
    pub field: String,
    /// As it is made.
    pub wanted: Value,
    /// As it is.
    pub found: Value,
    /// A promise rests on it. What does not matter is shown and left alone.
    pub matters: bool,
}

impl Reliance<'_> {
    /// Every field that differs, those that matter first.
    #[must_use]
    pub fn differences(&self, object: &str, found: Option<&Value>) -> Vec<Difference> {
        let tell = |field: &str, wanted: &Value, found: &Value, matters| Difference {
            object: object.to_owned(),
            field: field.to_owned(),
            wanted: wanted.clone(),
            found: found.clone(),
            matters,
        };
        let Some(found) = found else {
            return vec![tell("exists", &Value::Bool(true), &Value::Bool(false), true)];
        };
        let empty = Map::new();
        let members = self.wanted.as_object().unwrap_or(&empty);
        let mut told = Vec::new();
        for (field, wanted) in members {
            let is = found.get(field).unwrap_or(&Value::Null);
            if !is_as_wanted(wanted, is) {
                told.push(tell(
                    field,
                    wanted,
                    is,
                    self.is_relied(field) && !holds(field, wanted, is),
                ));
            }
        }
        for (field, is) in found.as_object().unwrap_or(&empty) {
            let known = members.contains_key(field) || self.own.contains(&field.as_str());
            if !known && !is_off(is) {
                told.push(tell(field, &Value::Null, is, self.off.contains(&field.as_str())));
            }
        }
        told.sort_by_key(|it| !it.matters);
        told
    }

    /// What is found, with what matters put as wanted; what does not matter stays as it is.
    ///
    /// `sources` are another house's work, so they stay even where they may not be.
    #[must_use]
    pub fn repaired(&self, found: &Value) -> Value {
        let mut members = found.as_object().cloned().unwrap_or_default();
        for it in self.differences("", Some(found)).into_iter().filter(|it| it.matters) {
            match it.wanted {
                Value::Null if it.field == "sources" => {}
                Value::Null => drop(members.remove(&it.field)),
                Value::Array(wanted) if it.field == SUBJECTS => {
                    let mut all = it.found.as_array().cloned().unwrap_or_default();
                    all.extend(wanted);
                    all.sort_by_key(ToString::to_string);
                    all.dedup();
                    members.insert(it.field, Value::Array(all));
                }
                wanted => drop(members.insert(it.field, wanted)),
            }
        }
        if let Some(Value::Object(metadata)) = members.get_mut("metadata") {
            metadata.retain(|name, _| !name.starts_with("_nats."));
        }
        Value::Object(members)
    }

    fn is_relied(&self, field: &str) -> bool {
        self.relied.contains(&field)
    }
}

/// The subjects of a stream.
const SUBJECTS: &str = "subjects";

/// Whether a field serves although it differs: a stream may take more subjects than ours.
fn holds(field: &str, wanted: &Value, is: &Value) -> bool {
    match (field, wanted, is) {
        (SUBJECTS, Value::Array(wanted), Value::Array(is)) => {
            wanted.iter().all(|it| is.contains(it))
        }
        _ => false,
    }
}

fn is_as_wanted(wanted: &Value, is: &Value) -> bool {
    match (wanted, is) {
        // The server leaves out what is false, and adds names of its own to the metadata.
        (Value::Bool(false), Value::Null) => true,
        (Value::Object(wanted), Value::Object(is)) => {
            wanted.iter().all(|(name, it)| is.get(name) == Some(it))
        }
        _ => wanted == is,
    }
}

/// False, nothing, no limit: the value of a feature that nobody asked for.
fn is_off(it: &Value) -> bool {
    match it {
        Value::Null | Value::Bool(false) => true,
        Value::Number(it) => matches!(it.as_i64(), Some(0 | -1)),
        Value::String(it) => it.is_empty() || it == "default",
        Value::Array(it) => it.is_empty(),
        Value::Object(it) => it.values().all(is_off),
        Value::Bool(true) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(told: &[Difference], matters: bool) -> Vec<&str> {
        told.iter().filter(|it| it.matters == matters).map(|it| it.field.as_str()).collect()
    }

    #[test]
    fn what_is_relied_on_is_checked_and_the_rest_is_told_and_left_alone() {
        let wanted = json!({
            "name": "S", "description": "ours", "subjects": ["a", "b"], "discard": "new",
            "allow_direct": false, "deny_purge": true, "metadata": { "sapa.config": "1" },
        });
        let it = Reliance {
            wanted: &wanted,
            relied: &["subjects", "discard", "deny_purge"],
            off: &["mirror", "no_ack"],
            own: &[],
        };
        let mut found = wanted.clone();
        found["metadata"]["_nats.level"] = json!("4");
        found["consumer_limits"] = json!({});
        found["max_msgs"] = json!(-1);
        assert_eq!(it.differences("S", Some(&found)), []);

        found["description"] = json!("theirs");
        found["allow_direct"] = json!(true);
        found["republish"] = json!({ "src": ">", "dest": "copy.>" });
        found["sources"] = json!([{ "name": "BRANCH" }]);
        found["subjects"] = json!(["a", "b", "more"]);
        let told = it.differences("S", Some(&found));
        assert_eq!(fields(&told, true), [""; 0]);
        let mut left = fields(&told, false);
        left.sort_unstable();
        assert_eq!(left, ["allow_direct", "description", "republish", "sources", "subjects"]);

        found["discard"] = json!("old");
        found["no_ack"] = json!(true);
        found["subjects"] = json!(["b", "more"]);
        let told = it.differences("S", Some(&found));
        assert_eq!(fields(&told, true), ["discard", "subjects", "no_ack"]);
        let repaired = it.repaired(&found);
        assert_eq!(repaired["sources"], json!([{ "name": "BRANCH" }]), "a branch stays connected");
        assert_eq!(repaired["description"], "theirs");
        assert_eq!((&repaired["discard"], repaired.get("no_ack")), (&json!("new"), None));
        assert_eq!(repaired["subjects"], json!(["a", "b", "more"]));
        assert_eq!(repaired["metadata"], json!({ "sapa.config": "1" }));
        assert_eq!(fields(&it.differences("S", Some(&repaired)), true), [""; 0]);
    }

    #[test]
    fn a_missing_object_is_one_difference_that_matters() {
        let wanted = json!({ "name": "S" });
        let it = Reliance { wanted: &wanted, relied: &[], off: &[], own: &[] };
        let told = it.differences("S", None);
        assert_eq!((told.len(), told[0].field.as_str(), told[0].matters), (1, "exists", true));
    }
}
