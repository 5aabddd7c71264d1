//! `problems.md`, from the catalogue of codes.

use std::fmt::Write as _;

use events::problem::{Code, Language};
use events::warning::Warning;

use super::{cell, heading};

const PREFACE: &str = "\
Whatever is refused is answered with a problem document (RFC 9457): over HTTP as \
`application/problem+json`, over NATS with `Sapa-Status`, on the command line as text or, with `--json`, \
as it is. `code` never changes and is never translated; `title` and `detail` are in the language asked \
for. `errors` names each place (a JSON pointer, a header, a parameter), its rule and what to do, and never \
repeats the value that stood there. A running server explains each code at `/problems/<code>`.

*Again* says whether the very same request may succeed later.

";

const WARNINGS: &str = "
## Warnings

A receipt lists in `warnings` what was recorded and may deserve a look, and in `warning_details` the place \
and the sentence of each. `/problems/<warning>` explains it too.

| Warning | Cause | What to do |
|---|---|---|
";

pub fn render() -> String {
    let mut text = heading("Problems and warnings", "`crates/events/src/problem.rs`") + PREFACE;
    text.push_str(
        "## Problems\n\n| Code | HTTP | Again | Cause | What to do |\n|---|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let it = api::problems::told(*code);
        let words = |part: &str| cell(it[part]["en"].as_str().unwrap_or_default());
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            code.as_str(),
            code.status(),
            if code.is_retryable() { "yes" } else { "" },
            words("cause"),
            words("remedy"),
        );
        assert!(!code.title(Language::En).is_empty(), "{}", code.as_str());
    }
    text.push_str(WARNINGS);
    for it in Warning::ALL {
        let words = [it.cause().en, it.remedy().en].map(|it| cell(&it));
        let _ = writeln!(text, "| `{}` | {} | {} |", it.as_str(), words[0], words[1]);
    }
    text
}
