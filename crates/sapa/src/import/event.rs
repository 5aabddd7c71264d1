//! One event of a map: when a row has it, its attributes, and the shape of its data.
//!
//! Everything that is the same for all rows is made into JSON once. Members that are nothing are
//! left out; whether an event may lack them is the schema's business. Ids come from the row number
//! or the source's own keys: two events of one map never share an id, and none is constant.

use toml::de::DeValue;

use super::doc::Node;
use super::fault::{Fault, MapError, did_you_mean};
use super::forms::all_hold;
use super::template::{Condition, Expr, Row, Scope};
use super::value::{Value, push_json_text};

/// What an event, and `[every]`, may say about itself besides `type`, `when` and `data`.
pub(super) const ATTRIBUTES: [&str; 8] =
    ["id", "subject", "time", "actor", "channel", "correlationid", "causationid", "voids"];

/// The shape of a value in `data`.
#[derive(Clone, Debug)]
enum Shape {
    Leaf(Expr),
    List(Vec<Shape>),
    /// Members with their keys as JSON, quoted and with the colon.
    Object(Vec<(String, Shape)>),
}

/// Attributes by name, in the order of [`ATTRIBUTES`].
pub(super) type Attributes = Vec<(&'static str, Expr)>;

/// An event of the map, ready to be filled in.
#[derive(Clone, Debug)]
pub(super) struct Event {
    kind: String,
    imported: bool,
    when: Vec<Condition>,
    attributes: Attributes,
    data: Shape,
}

/// Reads the attributes in a table; `others` are keys that something else reads.
pub(super) fn attributes(
    node: &Node<'_>,
    others: &[&str],
    scope: &mut Scope,
) -> Result<Attributes, MapError> {
    let mut found = Attributes::new();
    for (key, member) in node.table()? {
        if others.contains(&key) {
            continue;
        }
        let Some(name) = ATTRIBUTES.iter().find(|name| **name == key) else {
            let known: Vec<&str> = ATTRIBUTES.iter().chain(others).copied().collect();
            return Err(member.fault(format!("an event has no `{key}`"), did_you_mean(key, &known)));
        };
        let expr = Expr::compile(&member, scope)?;
        if *name == "id" && expr.is_constant() {
            return Err(member.fault(
                "every row would get the same id",
                "put the number of the row or the source's own key in it, such as \"b-{row:06}\"",
            ));
        }
        found.push((*name, expr));
    }
    Ok(found)
}

impl Event {
    /// Reads one `[[event]]`, with what `[every]` says where it says nothing.
    pub(super) fn compile(
        node: &Node<'_>,
        every: &Attributes,
        imported: bool,
        scope: &mut Scope,
    ) -> Result<Self, MapError> {
        let members = node.table()?;
        let find = |key: &str| members.iter().find(|(name, _)| *name == key).map(|(_, node)| node);
        let missing = |key: &str| {
            node.fault(format!("`{key}` is missing"), format!("give this event its `{key}`"))
        };
        let kind_node = find("type").ok_or_else(|| missing("type"))?;
        let kind = kind_node.text()?.to_owned();
        if !is_type(&kind) {
            let remedy = "write it like `sapa.booking.requested.v1`";
            return Err(kind_node.fault(format!("`{kind}` is not a type"), remedy));
        }
        let mut own = attributes(node, &["type", "when", "data"], scope)?;
        for (name, expr) in every {
            if !own.iter().any(|(own, _)| own == name) {
                own.push((*name, expr.clone()));
            }
        }
        own.sort_by_key(|(name, _)| ATTRIBUTES.iter().position(|known| known == name));
        for needed in ["id", "time", "actor"] {
            if !own.iter().any(|(name, _)| *name == needed) {
                return Err(missing(needed));
            }
        }
        let when = match find("when") {
            Some(when) => when.one_or_more()?,
            None => Vec::new(),
        };
        let when =
            when.iter().map(|node| Condition::compile(node, scope)).collect::<Result<_, _>>()?;
        let data = Shape::compile(find("data").ok_or_else(|| missing("data"))?, scope)?;
        if !matches!(data, Shape::Object(_)) {
            return Err(missing("data"));
        }
        Ok(Self { kind, imported, when, attributes: own, data })
    }

    /// How the event is named, to see that no other has the same.
    pub(super) fn id(&self) -> Option<&Expr> {
        self.attributes.iter().find(|(name, _)| *name == "id").map(|(_, expr)| expr)
    }

    /// The id that this row would give it, unless the row does not have the event for sure.
    pub(super) fn id_of(&self, row: &Row<'_>) -> Option<String> {
        if all_hold(&self.when, row) == Ok(false) {
            return None;
        }
        match self.id()?.eval(row) {
            Ok(Value::Null) | Err(_) => None,
            Ok(id) => Some(id.to_text().into_owned()),
        }
    }

    /// The event as CloudEvents JSON; `None` when this row does not have it. `source` is the
    /// quoted source.
    pub(super) fn of(&self, row: &Row<'_>, source: &str) -> Result<Option<String>, Fault> {
        if !all_hold(&self.when, row)? {
            return Ok(None);
        }
        let mut out = String::with_capacity(512);
        out.push_str("{\"specversion\":\"1.0\"");
        let mut early = true;
        for (name, expr) in &self.attributes {
            // The order of the catalogue's examples: who and what, then how, then the thread.
            if early && matches!(*name, "correlationid" | "causationid" | "voids") {
                early = false;
                self.push_imported(&mut out);
            }
            let value = expr.eval(row)?;
            self.push_attribute(name, expr, &value, &mut out)?;
            if *name == "id" {
                out.push_str(",\"source\":");
                out.push_str(source);
                out.push_str(",\"type\":\"");
                out.push_str(&self.kind);
                out.push('"');
            }
        }
        if early {
            self.push_imported(&mut out);
        }
        out.push_str(",\"datacontenttype\":\"application/json\",\"data\":");
        if !self.data.push(row, &mut out)? {
            out.push_str("{}");
        }
        out.push('}');
        Ok(Some(out))
    }

    fn push_imported(&self, out: &mut String) {
        if self.imported {
            out.push_str(",\"imported\":true");
        }
    }

    fn push_attribute(
        &self,
        name: &str,
        expr: &Expr,
        value: &Value<'_>,
        out: &mut String,
    ) -> Result<(), Fault> {
        let fault = |rule, what: &str| {
            let detail = format!("`{name}` of {} is {what}", self.kind);
            Err(Fault::new(expr.column(), rule, detail))
        };
        match (name, value) {
            ("id" | "time" | "actor", Value::Null) => return fault("missing", "nothing"),
            ("time", Value::Instant(_)) => {}
            ("time", _) => return fault("not_instant", "not made with the form `instant`"),
            (_, Value::Null) => return Ok(()),
            _ => {}
        }
        let text = value.to_text();
        out.push_str(",\"");
        out.push_str(name);
        out.push_str("\":");
        push_json_text(&text, out);
        if name == "actor" {
            let kind = text.split_once('/').map_or(text.as_ref(), |(kind, _)| kind);
            out.push_str(",\"actorkind\":");
            push_json_text(kind, out);
        }
        Ok(())
    }
}

impl Shape {
    fn compile(node: &Node<'_>, scope: &mut Scope) -> Result<Self, MapError> {
        match node.value {
            DeValue::Table(_) => {
                let mut members = Vec::new();
                for (key, member) in node.table()? {
                    let mut quoted = String::new();
                    push_json_text(key, &mut quoted);
                    quoted.push(':');
                    members.push((quoted, Self::compile(&member, scope)?));
                }
                Ok(Self::Object(members))
            }
            DeValue::Array(_) => {
                let nodes = node.list()?;
                nodes
                    .iter()
                    .map(|node| Self::compile(node, scope))
                    .collect::<Result<_, _>>()
                    .map(Self::List)
            }
            _ => Expr::compile(node, scope).map(Self::Leaf),
        }
    }

    /// Adds the value as JSON; adds nothing and says so when there is none.
    fn push(&self, row: &Row<'_>, out: &mut String) -> Result<bool, Fault> {
        match self {
            Self::Leaf(expr) => Ok(expr.eval(row)?.push_json(out)),
            Self::List(shapes) => {
                out.push('[');
                let mut first = true;
                for shape in shapes {
                    let start = out.len();
                    if !first {
                        out.push(',');
                    }
                    if shape.push(row, out)? { first = false } else { out.truncate(start) }
                }
                out.push(']');
                Ok(true)
            }
            Self::Object(members) => {
                let whole = out.len();
                out.push('{');
                let mut first = true;
                for (key, shape) in members {
                    let start = out.len();
                    if !first {
                        out.push(',');
                    }
                    out.push_str(key);
                    if shape.push(row, out)? { first = false } else { out.truncate(start) }
                }
                out.push('}');
                if first {
                    out.truncate(whole);
                }
                Ok(!first)
            }
        }
    }
}

/// `sapa.<topic>.<action>.v<N>`; whether there is such a type, the validator knows.
fn is_type(text: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let version = |part: &str| {
        part.strip_prefix('v')
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    match text.split('.').collect::<Vec<_>>().as_slice() {
        ["sapa", topic, action, last] => word(topic) && word(action) && version(last),
        _ => false,
    }
}
