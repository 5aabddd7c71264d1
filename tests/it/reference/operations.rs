//! `operations.md`, from the table of operations and the scopes.

use std::fmt::Write as _;

use api::ops::{self, Operation, summary::summary};
use api::scope::{SETS, Scope};

use super::{cell, heading};

const PREFACE: &str = "\
An operation is one question or one command. Over HTTP it is a route; over NATS request-reply it is the \
subject `sapa.v1.<tenant>.api.<resource>.<verb>`, with one JSON object that holds the members of path, query \
and body under the same names. Both answer with the same bytes.

## How to ask

- **Who**: `Authorization: Bearer <key>`, over NATS in the header of the same name. The key decides tenant, \
scopes and sources. `Sapa-Actor: staff/dewi` names the person a service acts for.
- **Language and zone**: `lang=en|id` or `Accept-Language`; `tz=Asia/Jakarta`.
- **Reading your own writes**: answers from read models carry `as_of {position, head, lag, reached}`. \
`at_least=<position>` waits up to `wait` (default `2s`, at most `5s`) until they have read as far; \
`reached: false` says that they have not. A position above the head is `position_unknown`.
- **Pages**: `limit` (1 to 500, default 50), then `cursor` with `next_cursor` or `prev_cursor`. Following them \
gives every item that was there at the first page exactly once, whatever is recorded meanwhile.
- **Commands** answer 201 with `receipts` after they are recorded. `Idempotency-Key` (1 to 128 characters) makes \
a repetition answer as the first time; other content under the key is `idempotency_key_reused`. `If-Match: \
\"<version>\"` refuses with 412 when the object has changed.
- **Events** need no key against repetition: their `source` and `id` are one. `201` is recorded, `200` was \
recorded before.
- **Names** that an operation does not have are refused (`query_invalid`), in queries and in bodies.
- Refusals are [problems](problems.md).

";

pub fn render() -> String {
    let mut text = heading("Operations over HTTP and NATS", "`crates/api/src/ops`") + PREFACE;
    text.push_str("## Operations\n");
    let mut resource = "";
    for operation in ops::table() {
        if operation.resource() != resource {
            resource = operation.resource();
            let _ = write!(
                text,
                "\n### {resource}\n\n| HTTP | NATS | Scope | Parameters | Answers |\n|---|---|---|---|---|\n"
            );
        }
        row(&mut text, operation);
    }
    text.push_str("\n`GET /v1/stream` follows the log live as server-sent events: `topic`, `type`, `customer`, `after` or the header `Last-Event-ID`.\n");
    text.push_str("\n## Scopes\n\n| Scope | Opens |\n|---|---|\n");
    for scope in Scope::ALL {
        let opens: Vec<String> = ops::table()
            .iter()
            .filter(|it| it.scope == scope)
            .map(|it| format!("`{}`", it.id))
            .collect();
        let opens = match scope {
            Scope::Admin => "everything".to_owned(),
            Scope::PiiRead => "personal members in every answer, and searching".to_owned(),
            _ if opens.is_empty() => "–".to_owned(),
            _ => opens.join(", "),
        };
        let _ = writeln!(text, "| `{}` | {opens} |", scope.as_str());
    }
    text.push_str("\nSets for `sapa key create --set`:\n\n| Set | Scopes |\n|---|---|\n");
    for (name, scopes) in SETS {
        let words: Vec<String> = scopes.iter().map(|it| format!("`{}`", it.as_str())).collect();
        let _ = writeln!(text, "| `{name}` | {} |", words.join(", "));
    }
    text
}

fn row(text: &mut String, it: &Operation) {
    let parameters: Vec<String> = it.parameters.iter().map(|it| format!("`{it}`")).collect();
    let nats = if it.on_nats { format!("`{}`", it.id) } else { "–".to_owned() };
    let answers = summary(it.id).unwrap_or_else(|| panic!("{} has no summary", it.id));
    let _ = writeln!(
        text,
        "| `{} {}` | {nats} | `{}` | {} | {} |",
        it.method.as_str(),
        it.path,
        it.scope.as_str(),
        if parameters.is_empty() { "–".to_owned() } else { parameters.join(", ") },
        cell(answers),
    );
}
