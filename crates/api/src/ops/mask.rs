//! Facts as this caller may see them: without `pii:read` the personal members are absent.
//!
//! Personal is what the schema of any version says, and every member that no schema knows. Absent
//! means absent: nothing stands in their place.

use events::cloudevents;
use events::envelope::Recorded;
use events::schema;
use serde_json::Value;

use crate::app::Caller;

/// A recorded fact as it is given out to a caller: one structured event.
#[must_use]
pub(crate) fn write(it: &Recorded, caller: &Caller) -> String {
    if caller.sees_personal() {
        return cloudevents::write(it);
    }
    let (data, masked) = without_personal(it);
    if masked.is_empty() {
        return cloudevents::write(it);
    }
    let data = data.to_string().into_boxed_str();
    cloudevents::write(&Recorded { data, ..it.clone() })
}

/// The data of a fact without its personal members, and the pointers of those.
#[must_use]
pub(crate) fn without_personal(it: &Recorded) -> (Value, Vec<String>) {
    let mut data: Value = serde_json::from_str(&it.data).unwrap_or_default();
    let mut masked: Vec<String> = schema::personal_pointers(it.kind)
        .iter()
        .filter(|name| data.get(**name).is_some())
        .map(|name| format!("/{name}"))
        .collect();
    let unknown = schema::unknown_fields(it.kind, it.schema_version, &data);
    masked.extend(unknown.iter().map(|it| format!("/{it}")));
    for pointer in &masked {
        remove(&mut data, pointer);
    }
    (data, masked)
}

fn remove(data: &mut Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    if let Some(Value::Object(members)) = data.pointer_mut(parent) {
        members.remove(&name.replace("~1", "/").replace("~0", "~"));
    }
}

#[cfg(test)]
mod tests {
    use events::envelope::Attributes;
    use events::kind::Kind;
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn registered(data: &Value) -> Recorded {
        Recorded {
            position: 1,
            tenant: "main".parse().unwrap(),
            stream: "customer/c-1".parse().unwrap(),
            version: 1,
            source: "/desk".parse().unwrap(),
            id: "1".parse().unwrap(),
            kind: Kind::CustomerRegistered,
            schema_version: 1,
            customer: Some("c-1".parse().unwrap()),
            occurred_at: Timestamp::UNIX_EPOCH,
            recorded_at: Timestamp::UNIX_EPOCH,
            causation_id: None,
            correlation_id: None,
            trace: None,
            attributes: Attributes {
                actor: "staff/dewi".parse().unwrap(),
                channel: None,
                voids: None,
                imported: false,
                dataschema: None,
                extensions: std::collections::BTreeMap::new(),
            },
            data: data.to_string().into_boxed_str(),
        }
    }

    #[test]
    fn names_and_unknown_members_are_absent_and_listed() {
        let it = registered(&json!({"kind": "person", "name": "Sari", "shoe_size": 38}));
        let (data, mut masked) = without_personal(&it);
        masked.sort();
        assert_eq!(data, json!({"kind": "person"}));
        assert_eq!(masked, ["/name", "/shoe_size"]);
    }
}
