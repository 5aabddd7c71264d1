//! What a customer is found by: the words of a name in any order, ids and marks, and telephone
//! numbers by their digits. Accents, letter case and punctuation do not count.
//!
//! Pure: the same text gives the same words, for rows as for questions.

use std::collections::BTreeSet;

use events::fact::to_e164;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Words of a name by which it is found.
const NAME_WORDS_MAX: usize = 8;
/// Words of a question that are looked for; the rest would not narrow it any more.
const ASKED_WORDS_MAX: usize = 8;
/// Digits from which on a text without letters may be a telephone number.
const DIGITS_MIN: usize = 4;
/// The calling code that national telephone numbers are read in.
const COUNTRY: &str = "62";

/// The form in which names and marks are compared: small letters without accents.
pub(crate) fn key(text: &str) -> String {
    let plain = |it: char| match it {
        '\u{2018}' | '\u{2019}' | '\u{02BC}' => '\'',
        'ø' | 'Ø' => 'o',
        'ł' | 'Ł' => 'l',
        'đ' | 'Đ' => 'd',
        'ı' => 'i',
        other => other,
    };
    let letters = text.nfkd().filter(|it| !is_combining_mark(*it)).map(plain);
    letters.collect::<String>().to_lowercase()
}

/// The words of a name: each as it is written, its parts, and without punctuation.
pub(crate) fn of_name(name: &str) -> BTreeSet<String> {
    let name = key(name);
    let mut words = BTreeSet::new();
    for word in name.split_whitespace().take(NAME_WORDS_MAX) {
        words.insert(word.to_owned());
        words.insert(word.chars().filter(|it| it.is_alphanumeric()).collect());
        words.extend(word.split(|it: char| !it.is_alphanumeric()).map(str::to_owned));
    }
    words.remove("");
    words
}

/// The ways in which a telephone number is begun: with the code of its country, with a zero in
/// front, and with neither. What is no number is found as it is written.
pub(crate) fn of_number(text: &str) -> BTreeSet<String> {
    let Some(number) = to_e164(text, COUNTRY) else {
        let digits = digits(text).filter(|it| DIGITS_MIN <= it.len());
        return digits.into_iter().chain([key(text)]).collect();
    };
    let number = number.trim_start_matches('+');
    let home = number.strip_prefix(COUNTRY);
    let home = home.into_iter().flat_map(|rest| [format!("0{rest}"), rest.to_owned()]);
    home.chain([number.to_owned()]).collect()
}

/// What is asked for: every word of the question, each with the beginnings that would do.
pub(crate) fn asked(search: &str) -> Vec<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let search = search.trim().strip_prefix("tel:").unwrap_or(search);
    let mut before = false;
    for word in search.split_whitespace() {
        // A number is written in groups of digits, which belong together.
        let is_number = !word.chars().any(char::is_alphabetic);
        match words.last_mut() {
            Some(last) if is_number && before => last.push_str(word),
            _ => words.push(word.to_owned()),
        }
        before = is_number;
    }
    words.iter().take(ASKED_WORDS_MAX).map(|it| beginnings(it)).collect()
}

/// A word as it is written, and as the digits of a number where it can be one.
fn beginnings(word: &str) -> Vec<String> {
    let word = key(word);
    let bare: String = word.chars().filter(|it| it.is_alphanumeric()).collect();
    let mut found = vec![word.clone()];
    found.extend((!bare.is_empty()).then_some(bare));
    let is_number = !word.chars().any(char::is_alphabetic);
    if let Some(digits) = digits(&word).filter(|it| is_number && DIGITS_MIN <= it.len()) {
        let international = digits.strip_prefix("00").unwrap_or(&digits).to_owned();
        // `+62 (0)821…` says the zero and the code of the country at once.
        let twice = international.strip_prefix(COUNTRY).and_then(|it| it.strip_prefix('0'));
        found.extend(twice.map(|rest| format!("{COUNTRY}{rest}")));
        found.push(international);
    }
    found.sort();
    found.dedup();
    found
}

fn digits(text: &str) -> Option<String> {
    let digits: String = text.nfkd().filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(words: &BTreeSet<String>, search: &str) -> bool {
        asked(search).iter().all(|beginnings| {
            beginnings.iter().any(|it| words.iter().any(|word| word.starts_with(it.as_str())))
        })
    }

    #[test]
    fn a_name_is_found_by_its_words_in_any_order_without_accents_and_punctuation() {
        let words = of_name("Ibu Séràfina D’Angelo-Øst, S.E.");
        for search in
            ["serafina", "angelo ibu", "D'ANGELO", "dangelo", "ost serafina", "se", "SÉRÀ øst"]
        {
            assert!(finds(&words, search), "{search}: {words:?}");
        }
        for search in ["fina", "serafina budi", "x"] {
            assert!(!finds(&words, search), "{search}");
        }
    }

    #[test]
    fn a_number_is_found_in_every_form_that_people_write() {
        for stored in ["0821-9077-0169", "+62 821 9077 0169", "6282190770169"] {
            let words = of_number(stored);
            for search in [
                "0821-9077-0169",
                "0821 9077 0169",
                "082190770169",
                "6282190770169",
                "+62 821-9077-0169",
                "+62 (0)821 9077 0169",
                "(0821) 9077.0169",
                "0062 821 9077 0169",
                "821 9077 0169",
                "tel:+62-821-9077-0169",
                "0821\u{2011}9077",
                "０８２１",
                "6282",
            ] {
                assert!(finds(&words, search), "{search} in {stored}: {words:?}");
            }
            for search in ["0822", "9077", "+49821"] {
                assert!(!finds(&words, search), "{search} in {stored}");
            }
        }
        assert!(finds(&of_number("+49 30 901820"), "0049 30 9018"));
    }

    #[test]
    fn a_name_and_a_number_narrow_each_other() {
        let mut words = of_name("Gunawan Hendra");
        words.extend(of_number("0821-9077-0169"));
        assert!(finds(&words, "hendra 0821 9077 0169"));
        assert!(finds(&words, "hendra gunawan"));
        assert!(!finds(&words, "hendra 0822 9077 0169"));
    }

    #[test]
    fn an_id_is_found_as_it_is_written() {
        let words = BTreeSet::from([key("C-1029"), key("2026")]);
        assert!(finds(&words, "c-10") && finds(&words, "2026"));
        assert!(asked("   ").is_empty());
    }
}
