//! Texts with names in them, and comparisons, compiled once and evaluated for every row.
//!
//! `"{name}"` keeps the kind of what it names; with text around it or a width it becomes text; with
//! a missing part it is nothing. A name is a column, a value defined above, or `row`. Names are
//! looked up when the map is read, so that no row pays for it and a misspelt one is found first.

use std::borrow::Cow;
use std::cmp::Ordering;

use toml::de::DeValue;

use super::doc::Node;
use super::fault::{Fault, MapError, did_you_mean};
use super::numbers::{Decimal, Misread};
use super::spelling::Spelling;
use super::value::Value;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// The number of the row, from 1.
    Row,
    /// A column, by its place among the columns that the map uses.
    Column(usize),
    /// A value, by its place among the values.
    Value(usize),
}

/// A column the map uses, and where it first does.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) key: String,
}

/// The names that can be used at a place in the map.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Columns as `source.columns` lists them; none when the file has a header.
    pub(super) declared: Option<Vec<String>>,
    /// Columns used so far.
    pub(super) used: Vec<Column>,
    /// Values defined so far.
    pub(super) values: Vec<String>,
    /// All values of the map, also those further down.
    pub(super) all_values: Vec<String>,
    /// How many `nth` the map has so far.
    pub(super) counters: usize,
    /// What was set on the command line, or its default: the same for every row.
    pub(super) settings: Vec<(String, String)>,
    /// Something so far reads texts of the file as numbers.
    pub(super) reads_numbers: bool,
}

impl Scope {
    fn resolve(&mut self, name: &str, node: &Node<'_>) -> Result<Name, MapError> {
        if name == "row" {
            return Ok(Name::Row);
        }
        if let Some(value) = self.values.iter().position(|value| value == name) {
            return Ok(Name::Value(value));
        }
        if self.all_values.iter().any(|value| value == name) {
            return Err(node.fault(
                format!("`{name}` is not defined above this line"),
                "move its definition up; a value cannot use itself or what comes later",
            ));
        }
        if let Some(declared) = &self.declared
            && !declared.iter().any(|column| column == name)
        {
            let known: Vec<&str> =
                declared.iter().chain(&self.values).map(String::as_str).collect();
            return Err(node.fault(
                format!("`{name}` is neither a column nor a value"),
                did_you_mean(name, &known),
            ));
        }
        if let Some(column) = self.used.iter().position(|column| column.name == name) {
            return Ok(Name::Column(column));
        }
        let (name, key) = (name.to_owned(), node.key.clone());
        self.used.push(Column { name, line: node.line(), key });
        Ok(Name::Column(self.used.len() - 1))
    }
}

/// One row while it is being turned into events.
pub(super) struct Row<'r> {
    pub(super) number: u64,
    /// How the file writes numbers and times.
    pub(super) spelling: &'r Spelling,
    /// The columns the map uses; `None` is a text that means nothing.
    pub(super) cells: &'r [Option<&'r str>],
    pub(super) values: Vec<Result<Value<'r>, Fault>>,
}

impl<'r> Row<'r> {
    fn get(&self, name: Name) -> Result<Value<'r>, Fault> {
        match name {
            Name::Row => Ok(Value::Integer(i64::try_from(self.number).unwrap_or(i64::MAX))),
            Name::Column(column) => Ok(match self.cells.get(column).copied().flatten() {
                Some(text) => Value::Text(Cow::Borrowed(text)),
                None => Value::Null,
            }),
            Name::Value(value) => self.values.get(value).cloned().unwrap_or(Ok(Value::Null)),
        }
    }

    /// Adds what a name stands for as text, without a copy in between.
    fn push(&self, name: Name, out: &mut String) -> Result<bool, Fault> {
        match name {
            Name::Value(value) => match self.values.get(value) {
                Some(Ok(value)) => Ok(value.push_text(out)),
                Some(Err(fault)) => Err(fault.clone()),
                None => Ok(false),
            },
            _ => Ok(self.get(name)?.push_text(out)),
        }
    }
}

/// A constant or a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Nothing,
    Integer(i64),
    Boolean(bool),
    Literal(String),
    One(Name),
    Text(Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Literal(String),
    Name(Name),
    /// A name and the width its text is filled to with zeros on the left.
    Padded(Name, usize),
}

/// The rule that is broken by a number whose form the map leaves open.
pub(super) const AMBIGUOUS_NUMBER: &str = "number_form";

/// No number needs more zeros than that, and a slip of the pen shall not fill the memory.
const WIDTH_MAX: usize = 40;

impl Expr {
    /// Reads a constant or a template.
    pub(super) fn compile(node: &Node<'_>, scope: &mut Scope) -> Result<Self, MapError> {
        match node.value {
            DeValue::String(text) => Self::template(text, node, scope),
            DeValue::Boolean(truth) => Ok(Self::Boolean(*truth)),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map(Self::Integer)
                .map_err(|_| node.fault("too large a number", "use at most 18 digits")),
            DeValue::Float(_) => Err(node.fault(
                "numbers with a point are not exact",
                "write it in quotes, and make money with the form `money`",
            )),
            DeValue::Datetime(_) => Err(node.fault(
                "a bare date has no zone",
                "write it in quotes, and make an instant with the form `instant`",
            )),
            DeValue::Array(_) | DeValue::Table(_) => Err(node.fault(
                "a text or a number belongs here",
                "define it under [values] and use its name in braces",
            )),
        }
    }

    /// Reads a template from a text.
    pub(super) fn template(
        text: &str,
        node: &Node<'_>,
        scope: &mut Scope,
    ) -> Result<Self, MapError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            literal.push_str(before);
            if let Some(after) = brace.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = brace.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else {
                let named = brace.strip_prefix('{').and_then(|inner| inner.split_once('}'));
                let Some((name, after)) = named else {
                    let remedy = "write {name}, or {{ and }} for braces that stand for themselves";
                    return Err(node.fault(format!("an unmatched brace in `{text}`"), remedy));
                };
                rest = after;
                let set = scope.settings.iter().find(|(setting, _)| setting == name.trim());
                if let Some((_, value)) = set {
                    literal.push_str(value);
                    continue;
                }
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(piece(name, node, scope)?);
            }
        }
        literal.push_str(rest);
        if pieces.is_empty() {
            return Ok(Self::Literal(literal));
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(match pieces.as_slice() {
            [Piece::Name(name)] => Self::One(*name),
            _ => Self::Text(pieces),
        })
    }

    /// The value for this row.
    pub(super) fn eval<'r>(&'r self, row: &Row<'r>) -> Result<Value<'r>, Fault> {
        Ok(match self {
            Self::Nothing => Value::Null,
            Self::Integer(number) => Value::Integer(*number),
            Self::Boolean(truth) => Value::Boolean(*truth),
            Self::Literal(text) => Value::Text(Cow::Borrowed(text)),
            Self::One(name) => return row.get(*name),
            Self::Text(pieces) => {
                let mut out = String::with_capacity(32);
                for piece in pieces {
                    if !piece.push(row, &mut out)? {
                        return Ok(Value::Null);
                    }
                }
                Value::Text(Cow::Owned(out))
            }
        })
    }

    /// The value as a number; `None` for nothing. `is_not` says what was wanted.
    pub(super) fn number(
        &self,
        row: &Row<'_>,
        rule: &'static str,
        is_not: &str,
    ) -> Result<Option<Decimal>, Fault> {
        let value = self.eval(row)?;
        match self.number_of(&value, row) {
            Ok(number) => Ok(Some(number)),
            Err(_) if value == Value::Null => Ok(None),
            Err(misread) => Err(misread_fault(self.column(), rule, &value, &misread, is_not)),
        }
    }

    /// A value of this expression as a number. What stands in the map is written as maps are.
    fn number_of(&self, value: &Value<'_>, row: &Row<'_>) -> Result<Decimal, Misread> {
        match value {
            Value::Integer(number) | Value::Money(number, _) => Ok(Decimal::whole(*number)),
            Value::Number(number) => Ok(*number),
            Value::Text(text) if self.is_constant() => {
                Decimal::parse(text).ok_or(Misread::NotNumber)
            }
            Value::Text(text) => row.spelling.numbers.read(text),
            _ => Err(Misread::NotNumber),
        }
    }

    /// The first column that is named here, for faults.
    pub(super) fn column(&self) -> Option<usize> {
        let column = |name: &Name| match name {
            Name::Column(column) => Some(*column),
            _ => None,
        };
        match self {
            Self::One(name) => column(name),
            Self::Text(pieces) => pieces.iter().find_map(|piece| match piece {
                Piece::Name(name) | Piece::Padded(name, _) => column(name),
                Piece::Literal(_) => None,
            }),
            _ => None,
        }
    }

    /// Whether it is the same for every row.
    pub(super) fn is_constant(&self) -> bool {
        !matches!(self, Self::One(_) | Self::Text(_))
    }
}

impl Piece {
    fn push(&self, row: &Row<'_>, out: &mut String) -> Result<bool, Fault> {
        match self {
            Self::Literal(text) => {
                out.push_str(text);
                Ok(true)
            }
            Self::Name(name) => row.push(*name, out),
            Self::Padded(name, width) => {
                let start = out.len();
                if !row.push(*name, out)? {
                    return Ok(false);
                }
                for _ in out.len() - start..*width {
                    out.insert(start, '0');
                }
                Ok(true)
            }
        }
    }
}

/// Reads what stands between braces: `name` or `name:06`.
fn piece(inner: &str, node: &Node<'_>, scope: &mut Scope) -> Result<Piece, MapError> {
    let Some((name, width)) = inner.split_once(':') else {
        return Ok(Piece::Name(scope.resolve(inner.trim(), node)?));
    };
    match width.trim().strip_prefix('0').and_then(|width| width.parse().ok()) {
        Some(width @ 1..=WIDTH_MAX) => Ok(Piece::Padded(scope.resolve(name.trim(), node)?, width)),
        _ => Err(node.fault(
            format!("`{width}` is not a width"),
            format!("write {{{name}:06}} for six digits, at most {WIDTH_MAX}"),
        )),
    }
}

/// How two sides of a comparison must stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// Longer ones first, so that `<=` is not read as `<`.
const RELATIONS: [(&str, Relation); 6] = [
    (" == ", Relation::Equal),
    (" != ", Relation::Unequal),
    (" <= ", Relation::AtMost),
    (" >= ", Relation::AtLeast),
    (" < ", Relation::Less),
    (" > ", Relation::Greater),
];

/// `"{column} >= 5"`: numbers compare as numbers, money by its minor units, dates as dates, and
/// all else as text, of which nothing is less or greater. `null` equals only what is nothing.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    text: String,
    left: Expr,
    relation: Relation,
    right: Expr,
}

impl Condition {
    pub(super) fn compile(node: &Node<'_>, scope: &mut Scope) -> Result<Self, MapError> {
        let text = node.text()?;
        let found = RELATIONS
            .iter()
            .filter_map(|(sign, relation)| text.find(sign).map(|at| (at, *sign, *relation)))
            .min_by_key(|(at, _, _)| *at);
        let Some((at, sign, relation)) = found else {
            return Err(node.fault(
                format!("`{text}` is not a comparison"),
                "write \"{column} == text\" with one of == != < <= > >= between blanks",
            ));
        };
        let (left, right) = text.split_at(at);
        let right = right.strip_prefix(sign).unwrap_or(right).trim();
        let mut side = |text: &str| match text {
            "null" => Ok(Expr::Nothing),
            _ => Expr::template(text, node, scope),
        };
        let (left, right) = (side(left.trim())?, side(right)?);
        if left.is_constant() && right.is_constant() {
            return Err(node.fault(
                format!("`{text}` is the same for every row"),
                "put the name of a column or value in braces",
            ));
        }
        let is_number =
            |it: &Expr| matches!(it, Expr::Literal(text) if Decimal::parse(text).is_some());
        let is_of_order = !matches!(relation, Relation::Equal | Relation::Unequal);
        scope.reads_numbers |= is_of_order || is_number(&left) || is_number(&right);
        Ok(Self { text: text.to_owned(), left, relation, right })
    }

    pub(super) fn holds(&self, row: &Row<'_>) -> Result<bool, Fault> {
        let (left, right) = (self.left.eval(row)?, self.right.eval(row)?);
        if left == Value::Null || right == Value::Null {
            return Ok(match self.relation {
                Relation::Equal => left == right,
                Relation::Unequal => left != right,
                _ => false,
            });
        }
        let order = self.compare(&left, &right, row)?;
        Ok(match (self.relation, order) {
            (Relation::Equal, order) => order == Some(Ordering::Equal),
            (Relation::Unequal, order) => order != Some(Ordering::Equal),
            (Relation::Less, Some(order)) => order == Ordering::Less,
            (Relation::AtMost, Some(order)) => order != Ordering::Greater,
            (Relation::Greater, Some(order)) => order == Ordering::Greater,
            (Relation::AtLeast, Some(order)) => order != Ordering::Less,
            (_, None) => {
                let column = self.left.column().or(self.right.column());
                let (left, right) = (left.to_text(), right.to_text());
                let only = "only numbers and dates have an order";
                return Err(Fault::quoting(
                    column,
                    "not_comparable",
                    format!("`{}` compares `{left}` with `{right}`; {only}", self.text),
                    format!("`{}` compares two texts; {only}", self.text),
                ));
            }
        })
    }

    /// How the sides stand to each other; `None` if they differ and have no order.
    fn compare(
        &self,
        left: &Value<'_>,
        right: &Value<'_>,
        row: &Row<'_>,
    ) -> Result<Option<Ordering>, Fault> {
        if left == right {
            return Ok(Some(Ordering::Equal));
        }
        match (self.left.number_of(left, row), self.right.number_of(right, row)) {
            (Ok(left), Ok(right)) => return Ok(left.compared(right)),
            (Err(misread @ Misread::Ambiguous(..)), Ok(_) | Err(Misread::Ambiguous(..))) => {
                let column = self.left.column();
                return Err(misread_fault(column, "not_comparable", left, &misread, "a number"));
            }
            (Ok(_), Err(misread @ Misread::Ambiguous(..))) => {
                let column = self.right.column();
                return Err(misread_fault(column, "not_comparable", right, &misread, "a number"));
            }
            _ => {}
        }
        Ok(match (left, right) {
            (Value::Date(left), Value::Date(right)) => Some(left.cmp(right)),
            (Value::Instant(left), Value::Instant(right)) => Some(left.cmp_instant(right)),
            (Value::Date(date), Value::Text(text)) => {
                text.parse().ok().map(|other| date.cmp(&other))
            }
            (Value::Text(text), Value::Date(date)) => {
                text.parse().ok().map(|other: jiff::civil::Date| other.cmp(date))
            }
            _ => (left.to_text() == right.to_text()).then_some(Ordering::Equal),
        })
    }
}

/// Why a text gives no number, with both readings where it gives two.
fn misread_fault(
    column: Option<usize>,
    rule: &'static str,
    value: &Value<'_>,
    misread: &Misread,
    is_not: &str,
) -> Fault {
    let text = value.to_text();
    match misread {
        Misread::Ambiguous(with, without) => Fault::quoting(
            column,
            AMBIGUOUS_NUMBER,
            format!("`{text}` can be {with} or {without}"),
            "the number can be read in two ways",
        ),
        Misread::Undeclared => Fault::quoting(
            column,
            rule,
            format!("`{text}` has separators that the map does not declare"),
            "the number has separators that the map does not declare",
        ),
        Misread::NotNumber => Fault::quoting(
            column,
            rule,
            format!("`{text}` is not {is_not}"),
            format!("this is not {is_not}"),
        ),
    }
}
