//! The language that this process speaks to its person, and `say!`, which writes one sentence in it.
//!
//! One process serves one person, so the language is chosen once: early, from the arguments and the
//! environment, so that a fault in the configuration can be said in it, and again when the
//! configuration has been read.

use std::sync::atomic::{AtomicBool, Ordering};

use events::problem::Language;

static INDONESIAN: AtomicBool = AtomicBool::new(false);

/// Chooses the language.
pub fn choose(language: Language) {
    INDONESIAN.store(language == Language::Id, Ordering::Relaxed);
}

/// The language that was chosen.
#[must_use]
pub fn language() -> Language {
    if INDONESIAN.load(Ordering::Relaxed) { Language::Id } else { Language::En }
}

/// The language that arguments and environment ask for, before anything has been read.
#[must_use]
pub fn early(
    arguments: impl IntoIterator<Item = String>,
    variable: impl Fn(&str) -> Option<String>,
) -> Language {
    let mut arguments = arguments.into_iter();
    while let Some(it) = arguments.next() {
        let value = match it.strip_prefix("--lang") {
            Some("") => arguments.next(),
            Some(value) => value.strip_prefix('=').map(str::to_owned),
            None => None,
        };
        if let Some(language) = value.and_then(|it| Language::first_of(&it)) {
            return language;
        }
    }
    let tag = |name: &&str| variable(name).filter(|it| !it.is_empty());
    let tag = ["SAPA_LANG", "LC_ALL", "LANG"].iter().find_map(tag);
    tag.and_then(|it| Language::first_of(&it.replace('_', "-"))).unwrap_or_default()
}

/// One sentence in the chosen language: `say!("done", "selesai")`, with values as in `format!`.
#[macro_export]
macro_rules! say {
    ($en:literal, $id:literal $(,)?) => {
        match $crate::say::language() {
            ::events::problem::Language::En => ::std::fmt::format(format_args!($en)),
            ::events::problem::Language::Id => ::std::fmt::format(format_args!($id)),
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_comes_before_the_environment() {
        let none = |_: &str| None;
        let id = |name: &str| (name == "LANG").then(|| "id_ID.UTF-8".to_owned());
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(early(words("sapa alert list"), none), Language::En);
        assert_eq!(early(words("sapa alert list"), id), Language::Id);
        assert_eq!(early(words("sapa --lang en alert list"), id), Language::En);
        assert_eq!(early(words("sapa alert --lang=id"), none), Language::Id);
    }
}
