//! `/problems`: every code with its cause and its remedy, in both languages, for people and programs.

use std::fmt::Write as _;

use events::problem::{Code, Language, Problem, Text};
use events::warning::Warning;
use serde_json::{Value, json};

mod advice;

use advice::advice;

/// What has a page: a problem, or a warning of a receipt. A word that is both is the problem.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// Something was refused.
    Problem(Code),
    /// Something was recorded that somebody may want to look at.
    Warning(Warning),
}

impl Entry {
    /// The entry of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let problem = Code::from_word(word).map(Self::Problem);
        problem.or_else(|| Warning::from_word(word).map(Self::Warning))
    }

    /// Everything about it.
    #[must_use]
    pub fn told(self) -> Value {
        match self {
            Self::Problem(code) => told(code),
            Self::Warning(it) => told_warning(it),
        }
    }

    /// Its page.
    #[must_use]
    pub fn html(self, language: Language) -> String {
        match self {
            Self::Problem(code) => html(code, language),
            Self::Warning(it) => html_warning(it, language),
        }
    }
}

fn told_warning(it: Warning) -> Value {
    let both = |it: Text| json!({"id": it.id, "en": it.en});
    json!({
        "warning": it.as_str(),
        "title": {"id": it.title(Language::Id), "en": it.title(Language::En)},
        "cause": both(it.cause()),
        "remedy": both(it.remedy()),
        "url": format!("/problems/{}", it.as_str()),
    })
}

fn html_warning(it: Warning, language: Language) -> String {
    let (cause, remedy, receipt, all) = match language {
        Language::En => {
            ("Cause", "What to do", "a warning in a receipt: the event is recorded", "All problems")
        }
        Language::Id => (
            "Sebab",
            "Yang perlu dilakukan",
            "peringatan dalam tanda terima: peristiwa sudah tercatat",
            "Semua masalah",
        ),
    };
    let main = format!(
        "<h1>{}</h1>\n<p><code>{}</code> · {receipt}</p>\n<h2>{cause}</h2>\n<p>{}</p>\n<h2>{remedy}</h2>\n\
         <p>{}</p>\n<p><a href=\"/problems\">{all}</a></p>\n",
        escape(it.title(language)),
        it.as_str(),
        escape(it.cause().in_language(language)),
        escape(it.remedy().in_language(language)),
    );
    page(it.title(language), language, &main)
}

/// Everything about a code.
#[must_use]
pub fn told(code: Code) -> Value {
    let it = advice(code);
    json!({
        "code": code.as_str(),
        "status": code.status(),
        "retryable": code.is_retryable(),
        "title": {"id": code.title(Language::Id), "en": code.title(Language::En)},
        "cause": {"id": it.cause.id, "en": it.cause.en},
        "remedy": {"id": it.remedy.id, "en": it.remedy.en},
        "example": Problem::of(code).to_json(Language::En, None, ""),
        "url": format!("/problems/{}", code.as_str()),
    })
}

/// What to do about a code, in both languages.
#[must_use]
pub fn remedy(code: Code) -> Text {
    advice(code).remedy
}

/// The page of a code.
#[must_use]
pub fn html(code: Code, language: Language) -> String {
    let it = advice(code);
    let (cause, remedy, retry, all) = match language {
        Language::En => {
            ("Cause", "What to do", "The same request may succeed later.", "All problems")
        }
        Language::Id => (
            "Sebab",
            "Yang perlu dilakukan",
            "Permintaan yang sama bisa berhasil nanti.",
            "Semua masalah",
        ),
    };
    let example = Problem::of(code).to_json(language, None, "");
    let example = serde_json::to_string_pretty(&example).unwrap_or_default();
    let mut main = format!(
        "<h1>{}</h1>\n<p><code>{}</code> · HTTP {}</p>\n<h2>{cause}</h2>\n<p>{}</p>\n<h2>{remedy}</h2>\n<p>{}</p>\n",
        escape(code.title(language)),
        code.as_str(),
        code.status(),
        escape(it.cause.in_language(language)),
        escape(it.remedy.in_language(language)),
    );
    if code.is_retryable() {
        let _ = writeln!(main, "<p>{retry}</p>");
    }
    let _ =
        write!(main, "<pre>{}</pre>\n<p><a href=\"/problems\">{all}</a></p>\n", escape(&example));
    page(code.title(language), language, &main)
}

/// The list of all codes as a page.
#[must_use]
pub fn index_html(language: Language) -> String {
    let title = match language {
        Language::En => "Problems",
        Language::Id => "Masalah",
    };
    let mut main = format!("<h1>{title}</h1>\n<table>\n");
    for code in Code::ALL {
        let (word, title) = (code.as_str(), escape(code.title(language)));
        let _ = writeln!(
            main,
            "<tr><td><a href=\"/problems/{word}\"><code>{word}</code></a></td><td>{}</td><td>{title}</td></tr>",
            code.status()
        );
    }
    let warnings = match language {
        Language::En => "Warnings of receipts",
        Language::Id => "Peringatan dalam tanda terima",
    };
    let _ = write!(main, "</table>\n<h2>{warnings}</h2>\n<table>\n");
    for it in Warning::ALL.iter().filter(|it| Code::from_word(it.as_str()).is_none()) {
        let (word, title) = (it.as_str(), escape(it.title(language)));
        let _ = writeln!(
            main,
            "<tr><td><a href=\"/problems/{word}\"><code>{word}</code></a></td><td>{title}</td></tr>"
        );
    }
    main.push_str("</table>\n");
    page(title, language, &main)
}

fn page(title: &str, language: Language, main: &str) -> String {
    let tag = language.tag();
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"{tag}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title} · Sapa</title>\n\
         </head>\n<body>\n<main>\n{main}</main>\n</body>\n</html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_in_both_languages() {
        for code in Code::ALL {
            let (en, id) = (html(*code, Language::En), html(*code, Language::Id));
            assert!(en.contains("lang=\"en\"") && id.contains("lang=\"id\""));
            let told = told(*code);
            for part in ["title", "cause", "remedy"] {
                assert_ne!(told[part]["en"], told[part]["id"], "{} {part}", code.as_str());
                assert!(!told[part]["en"].as_str().unwrap().is_empty());
            }
            assert!(index_html(Language::Id).contains(code.as_str()));
        }
    }

    #[test]
    fn text_in_a_page_is_text() {
        assert_eq!(escape("<a b=\"&\">"), "&lt;a b=&quot;&amp;&quot;&gt;");
    }
}
