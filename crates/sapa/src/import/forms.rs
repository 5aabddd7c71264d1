//! The forms that a value under `[values]` can have: one verb each, exact, without a clock.
//!
//! A form is a table with one known word (`sum = […]`) and what belongs to it. Nothing in gives
//! nothing out, except where a form is there to choose (`first`, `lookup`, `if`). Nothing here is
//! guessed: a number that does not fit is a fault of the row.

use std::collections::HashMap;

use regex::Regex;

use super::date_forms::{DateForm, Use};
use super::dates;
use super::doc::Node;
use super::fault::{Fault, MapError, did_you_mean, listed};
use super::numbers::{Decimal, NumberForm, minor_digits};
use super::template::{Condition, Expr, Row, Scope};
use super::texts::TextForm;
use super::value::Value;

/// About 100 MB of keys; a file with more needs a key of its own in every row.
const KEYS_MAX: usize = 1_000_000;

/// Every form with what belongs to it.
pub(super) const FORMS: [(&str, &[&str]); 23] = [
    ("date", &["form"]),
    ("plus_days", &[]),
    ("minus_days", &[]),
    ("instant", &["form"]),
    ("plus", &["unit"]),
    ("minus", &["unit"]),
    ("integer", &[]),
    ("number", &["decimal", "thousands"]),
    ("boolean", &[]),
    ("lower", &[]),
    ("slug", &[]),
    ("cut", &["chars"]),
    ("extract", &["pattern"]),
    ("hash", &["key"]),
    ("phone", &["country"]),
    ("sum", &[]),
    ("max", &[]),
    ("abs", &[]),
    ("money", &["currency"]),
    ("first", &[]),
    ("lookup", &["in", "else"]),
    ("if", &["then", "else"]),
    ("nth", &[]),
];

/// Units of `plus` and `minus`, in seconds.
pub(super) const UNITS: [(&str, i64); 3] = [("seconds", 1), ("minutes", 60), ("hours", 3600)];

/// How a value is made.
#[derive(Clone, Debug)]
pub(super) enum Form {
    Plain(Expr),
    Date(Vec<Expr>, Vec<DateForm>),
    /// A date, a number of days, and their sign.
    Shift(Expr, Expr, i64),
    /// A date and a local time of day, or a text that holds both.
    Instant(Expr, Option<Expr>, Vec<DateForm>),
    /// An instant, a number of units, and the seconds of one.
    Move(Expr, Expr, i64),
    Integer(Expr),
    /// A number in a form of its own.
    Number(Expr, Option<NumberForm>),
    Boolean(Expr),
    Text(Expr, TextForm),
    Sum(Vec<Expr>),
    Max(Vec<Expr>),
    Abs(Expr),
    Money(Vec<Expr>, String),
    First(Vec<Expr>),
    Lookup(Expr, HashMap<String, Expr>, Expr),
    If(Vec<Condition>, Expr, Expr),
    /// A key, and the place of its counter.
    Nth(Expr, usize),
}

/// How often each key was seen, one table for each `nth` of the map.
pub(super) type Counters = Vec<HashMap<String, i64>>;

impl Form {
    /// Reads a constant, a template, or a table with one form.
    pub(super) fn compile(node: &Node<'_>, scope: &mut Scope) -> Result<Self, MapError> {
        if node.value.as_table().is_none() {
            return Expr::compile(node, scope).map(Self::Plain);
        }
        let mut members = node.table()?;
        let words: Vec<&str> = FORMS.iter().map(|(word, _)| *word).collect();
        let Some(at) = members.iter().position(|(key, _)| words.contains(key)) else {
            let Some((key, member)) = members.first() else {
                return Err(node.fault("an empty table", format!("write {}", listed(&words))));
            };
            return Err(member.fault(format!("unknown form `{key}`"), did_you_mean(key, &words)));
        };
        let (word, argument) = members.remove(at);
        let belongs = FORMS.iter().find(|(form, _)| *form == word).map_or(&[][..], |(_, b)| *b);
        if let Some((key, member)) = members.iter().find(|(key, _)| !belongs.contains(key)) {
            let remedy = match belongs {
                [] => "take it away, or give it a name of its own".to_owned(),
                _ => did_you_mean(key, belongs),
            };
            return Err(member.fault(format!("`{word}` knows no `{key}`"), remedy));
        }
        let parts = Parts { argument, members };
        match word {
            "date" | "plus_days" | "minus_days" | "instant" | "plus" | "minus" => {
                Self::of_time(word, &parts, scope)
            }
            "lower" | "slug" | "cut" | "extract" | "hash" | "phone" => {
                let expr = parts.one(scope)?;
                Ok(Self::Text(expr, parts.text_form(word, scope)?))
            }
            "integer" | "number" | "sum" | "max" | "abs" | "money" => {
                scope.reads_numbers |= !parts.has("decimal");
                Self::of_number(word, &parts, scope)
            }
            _ => Self::of_choice(word, &parts, scope),
        }
    }

    fn of_time(word: &str, parts: &Parts<'_>, scope: &mut Scope) -> Result<Self, MapError> {
        Ok(match word {
            "date" => match (parts.many(scope)?, parts.find("form")) {
                (three, None) if three.len() == 3 => Self::Date(three, Vec::new()),
                (one, form) if one.len() == 1 => Self::Date(one, forms(form, Use::Date)?),
                _ => return Err(parts.wrong("one text, or [year, month, day] without `form`")),
            },
            "plus_days" | "minus_days" => {
                let sign = if word == "plus_days" { 1 } else { -1 };
                let [date, days] = parts.two(scope, "[date, days]")?;
                Self::Shift(date, days, sign)
            }
            "instant" if parts.argument.value.as_array().is_some() => {
                if let Some(form) = parts.find("form") {
                    let remedy = "declare `dates` and `times` in [source], or make the date first";
                    return Err(form.fault("`form` belongs to an instant out of one text", remedy));
                }
                let [date, time] = parts.two(scope, "[date, time of day], or one text")?;
                Self::Instant(date, Some(time), Vec::new())
            }
            "instant" => {
                Self::Instant(parts.one(scope)?, None, forms(parts.find("form"), Use::Instant)?)
            }
            // `plus` and `minus`: `compile` lets no other word through.
            _ => {
                let [from, count] = parts.two(scope, "[instant, how many]")?;
                let node = parts.needed("unit", "\"seconds\", \"minutes\" or \"hours\"")?;
                let unit = node.text()?;
                let words = UNITS.map(|(word, _)| word);
                let Some((_, seconds)) = UNITS.iter().find(|(word, _)| *word == unit) else {
                    return Err(node.fault(format!("no unit `{unit}`"), did_you_mean(unit, &words)));
                };
                scope.reads_numbers = true;
                Self::Move(from, count, if word == "plus" { *seconds } else { -seconds })
            }
        })
    }

    fn of_number(word: &str, parts: &Parts<'_>, scope: &mut Scope) -> Result<Self, MapError> {
        Ok(match word {
            "integer" => Self::Integer(parts.one(scope)?),
            "number" => {
                let form = match (parts.find("decimal"), parts.find("thousands")) {
                    (None, None) => None,
                    (decimal, thousands) => Some(NumberForm::compile(decimal, thousands)?),
                };
                Self::Number(parts.one(scope)?, form)
            }
            "abs" => Self::Abs(parts.one(scope)?),
            "sum" => Self::Sum(parts.many(scope)?),
            "max" => Self::Max(parts.many(scope)?),
            _ => Self::Money(parts.many(scope)?, parts.currency()?),
        })
    }

    fn of_choice(word: &str, parts: &Parts<'_>, scope: &mut Scope) -> Result<Self, MapError> {
        Ok(match word {
            "boolean" => Self::Boolean(parts.one(scope)?),
            "first" => Self::First(parts.many(scope)?),
            "lookup" => {
                let of = parts.one(scope)?;
                let table = parts.needed("in", "the table to look up in")?.table()?;
                let table = table
                    .iter()
                    .map(|(key, node)| Ok(((*key).to_owned(), Expr::compile(node, scope)?)))
                    .collect::<Result<_, MapError>>()?;
                Self::Lookup(of, table, parts.otherwise(scope)?)
            }
            "if" => {
                let conditions = parts.argument.one_or_more()?;
                let conditions = conditions
                    .iter()
                    .map(|node| Condition::compile(node, scope))
                    .collect::<Result<_, _>>()?;
                let then = Expr::compile(parts.needed("then", "what it is then")?, scope)?;
                Self::If(conditions, then, parts.otherwise(scope)?)
            }
            // `compile` lets no other word through than the last of the table.
            _ => {
                let key = parts.one(scope)?;
                scope.counters += 1;
                Self::Nth(key, scope.counters - 1)
            }
        })
    }

    /// The value for this row. Called once a row, in the order of the map: `nth` counts.
    pub(super) fn eval<'r>(
        &'r self,
        row: &Row<'r>,
        counters: &mut Counters,
    ) -> Result<Value<'r>, Fault> {
        match self {
            Self::Plain(expr) => expr.eval(row),
            Self::Date(parts, forms) => dates::date(parts, forms, row),
            Self::Shift(date, days, sign) => dates::shifted(date, days, *sign, row),
            Self::Instant(date, time, forms) => dates::instant(date, time.as_ref(), forms, row),
            Self::Move(from, count, seconds) => dates::moved(from, count, *seconds, row),
            Self::Integer(expr) => Ok(integer(expr, row)?.map_or(Value::Null, Value::Integer)),
            Self::Number(expr, form) => number(expr, form.as_ref(), row),
            Self::Boolean(expr) => boolean(expr, row),
            Self::Text(expr, form) => form.eval(expr, row),
            Self::Sum(terms) => sum(terms, row),
            Self::Max(terms) => {
                let mut greatest = None;
                for term in terms {
                    let Some(number) = integer(term, row)? else { return Ok(Value::Null) };
                    greatest = greatest.max(Some(number));
                }
                Ok(greatest.map_or(Value::Null, Value::Integer))
            }
            Self::Abs(expr) => match expr.eval(row)? {
                Value::Money(amount, currency) => {
                    Ok(Value::Money(amount.saturating_abs(), currency))
                }
                _ => Ok(integer(expr, row)?
                    .map_or(Value::Null, |number| Value::Integer(number.saturating_abs()))),
            },
            Self::Money(factors, currency) => money(factors, currency, row),
            Self::First(exprs) => {
                for expr in exprs {
                    let value = expr.eval(row)?;
                    if value != Value::Null {
                        return Ok(value);
                    }
                }
                Ok(Value::Null)
            }
            Self::Lookup(of, table, otherwise) => {
                let key = of.eval(row)?;
                table.get(key.to_text().as_ref()).unwrap_or(otherwise).eval(row)
            }
            Self::If(conditions, then, otherwise) => {
                if all_hold(conditions, row)? {
                    then.eval(row)
                } else {
                    otherwise.eval(row)
                }
            }
            Self::Nth(key, counter) => nth(key, counters.get_mut(*counter), row),
        }
    }
}

/// Whether every condition holds.
pub(super) fn all_hold(conditions: &[Condition], row: &Row<'_>) -> Result<bool, Fault> {
    for condition in conditions {
        if !condition.holds(row)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The argument of a form and what else stands in its table.
struct Parts<'d> {
    argument: Node<'d>,
    members: Vec<(&'d str, Node<'d>)>,
}

impl<'d> Parts<'d> {
    fn wrong(&self, wanted: &str) -> MapError {
        self.argument.fault("not the arguments of this form", format!("write {wanted}"))
    }

    fn one(&self, scope: &mut Scope) -> Result<Expr, MapError> {
        Expr::compile(&self.argument, scope)
    }

    fn many(&self, scope: &mut Scope) -> Result<Vec<Expr>, MapError> {
        let nodes = self.argument.one_or_more()?;
        if nodes.is_empty() {
            return Err(self.wrong("at least one"));
        }
        nodes.iter().map(|node| Expr::compile(node, scope)).collect()
    }

    fn two(&self, scope: &mut Scope, wanted: &str) -> Result<[Expr; 2], MapError> {
        self.many(scope)?.try_into().map_err(|_| self.wrong(wanted))
    }

    fn find(&self, key: &str) -> Option<&Node<'d>> {
        self.members.iter().find(|(name, _)| *name == key).map(|(_, node)| node)
    }

    fn needed(&self, key: &str, what: &str) -> Result<&Node<'d>, MapError> {
        self.find(key).ok_or_else(|| {
            self.argument.fault(format!("`{key}` is missing"), format!("add `{key}`: {what}"))
        })
    }

    fn otherwise(&self, scope: &mut Scope) -> Result<Expr, MapError> {
        self.find("else").map_or(Ok(Expr::Nothing), |node| Expr::compile(node, scope))
    }

    fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    fn text_form(&self, word: &str, scope: &mut Scope) -> Result<TextForm, MapError> {
        Ok(match word {
            "lower" => TextForm::Lower,
            "slug" => TextForm::Slug,
            "cut" => {
                let node = self.needed("chars", "how many characters at most, such as 200")?;
                let chars = node.value.as_integer().and_then(|it| it.as_str().parse().ok());
                TextForm::Cut(chars.filter(|it| 0 < *it).ok_or_else(|| {
                    node.fault("not a number of characters", "write a whole number such as 200")
                })?)
            }
            "extract" => {
                let node = self.needed("pattern", "a regular expression, such as '([0-9]+)$'")?;
                TextForm::Extract(Box::new(pattern(node)?))
            }
            "hash" => {
                let key = self.find("key").map(|node| Expr::compile(node, scope)).transpose()?;
                if let Some(node) = self.find("key").filter(|_| matches!(key, Some(Expr::One(_)))) {
                    return Err(node.fault("a key is no value of the row", "name a setting"));
                }
                TextForm::Hash(key)
            }
            _ => {
                let node = self.needed("country", "the code of the country, such as \"62\"")?;
                match Expr::compile(node, scope)? {
                    Expr::Literal(country) if !country.is_empty() && is_digits(&country) => {
                        TextForm::Phone(country)
                    }
                    _ => {
                        let remedy = "write digits such as \"62\", or name a setting";
                        return Err(node.fault("not a code of a country", remedy));
                    }
                }
            }
        })
    }

    fn currency(&self) -> Result<String, MapError> {
        let node = self.needed("currency", "three letters of ISO 4217, such as \"EUR\"")?;
        let currency = node.text()?;
        if currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Ok(currency.to_owned());
        }
        Err(node.fault(format!("`{currency}` is not a currency"), "write three capital letters"))
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A regular expression of a map.
pub(super) fn pattern(node: &Node<'_>) -> Result<Regex, MapError> {
    let text = node.text()?;
    Regex::new(text).map_err(|error| {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim().to_owned();
        node.fault(format!("not a regular expression: {why}"), "correct it, in single quotes")
    })
}

fn forms(node: Option<&Node<'_>>, wanted: Use) -> Result<Vec<DateForm>, MapError> {
    node.map_or(Ok(Vec::new()), |node| DateForm::compile_all(node, wanted))
}

/// A fault about the text of an expression.
pub(super) fn fault(expr: &Expr, rule: &'static str, value: &Value<'_>, is_not: &str) -> Fault {
    let quoting = format!("`{}` is not {is_not}", value.to_text());
    Fault::quoting(expr.column(), rule, quoting, format!("this is not {is_not}"))
}

/// A whole number; `None` for nothing. `4.00` is one, `4.5` is not.
pub(super) fn integer(expr: &Expr, row: &Row<'_>) -> Result<Option<i64>, Fault> {
    const WANTED: &str = "a whole number";
    match expr.number(row, "not_integer", WANTED)? {
        None => Ok(None),
        Some(number) => match number.shifted(0) {
            Some(number) => Ok(Some(number)),
            None => Err(fault(expr, "not_integer", &expr.eval(row)?, WANTED)),
        },
    }
}

/// A number in the form of the file, or in its own.
fn number<'r>(expr: &Expr, form: Option<&NumberForm>, row: &Row<'r>) -> Result<Value<'r>, Fault> {
    const WANTED: &str = "a number such as 12.50";
    let Some(form) = form else {
        return Ok(expr.number(row, "not_number", WANTED)?.map_or(Value::Null, Value::Number));
    };
    match expr.eval(row)? {
        Value::Null => Ok(Value::Null),
        value => match form.read(&value.to_text()) {
            Ok(number) => Ok(Value::Number(number)),
            Err(_) => Err(fault(expr, "not_number", &value, "a number in its declared form")),
        },
    }
}

fn boolean<'r>(expr: &Expr, row: &Row<'r>) -> Result<Value<'r>, Fault> {
    let value = expr.eval(row)?;
    let truth = match &value {
        Value::Null => return Ok(Value::Null),
        Value::Boolean(truth) => Some(*truth),
        other => match other.to_text().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "0" => Some(false),
            _ => None,
        },
    };
    truth
        .map(Value::Boolean)
        .ok_or_else(|| fault(expr, "not_boolean", &value, "true, yes, 1, false, no or 0"))
}

fn sum<'r>(terms: &[Expr], row: &Row<'r>) -> Result<Value<'r>, Fault> {
    let mut sum = 0_i64;
    for term in terms {
        let Some(number) = integer(term, row)? else { return Ok(Value::Null) };
        sum = sum.checked_add(number).ok_or_else(|| {
            Fault::new(term.column(), "too_large", "the sum is beyond 64 bits".to_owned())
        })?;
    }
    Ok(Value::Integer(sum))
}

fn money<'r>(factors: &[Expr], currency: &'r str, row: &Row<'r>) -> Result<Value<'r>, Fault> {
    let mut product = Decimal::whole(1);
    for factor in factors {
        let number = factor.number(row, "not_number", "a number such as 12.50")?;
        let Some(number) = number else { return Ok(Value::Null) };
        product = product.times(number).ok_or_else(|| {
            Fault::new(factor.column(), "too_large", "the product is beyond 128 bits".to_owned())
        })?;
    }
    match product.shifted(minor_digits(currency)) {
        Some(amount) => Ok(Value::Money(amount, currency)),
        None => Err(Fault::new(
            factors.iter().find_map(Expr::column),
            "not_money",
            format!("not a whole amount of the smallest unit of {currency}, within 64 bits"),
        )),
    }
}

fn nth<'r>(
    key: &Expr,
    counter: Option<&mut HashMap<String, i64>>,
    row: &Row<'r>,
) -> Result<Value<'r>, Fault> {
    let value = key.eval(row)?;
    let (Some(counter), false) = (counter, value == Value::Null) else { return Ok(Value::Null) };
    let text = value.to_text();
    if let Some(count) = counter.get_mut(text.as_ref()) {
        *count += 1;
        return Ok(Value::Integer(*count));
    }
    if counter.len() >= KEYS_MAX {
        let detail = format!("more than {KEYS_MAX} keys to count; give every row a key of its own");
        return Err(Fault::new(key.column(), "too_many_keys", detail));
    }
    counter.insert(text.into_owned(), 1);
    Ok(Value::Integer(1))
}
