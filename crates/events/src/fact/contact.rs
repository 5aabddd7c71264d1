//! Telephone numbers and e-mail addresses: one spelling each, nothing that can break a header.

/// Digits of a telephone number in international form, without the plus (ITU-T E.164).
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// The international spelling (`+6281234567890`) of a telephone number.
///
/// `country` is the calling code, such as `62`, that a national number (`0812…`) is read in.
/// Spaces, dots, dashes and round brackets are passed over. `None` if it is no telephone number.
#[must_use]
pub fn to_e164(text: &str, country: &str) -> Option<String> {
    let plain: String =
        text.trim().chars().filter(|it| !matches!(it, ' ' | '-' | '.' | '(' | ')')).collect();
    let digits = match plain.strip_prefix('+').or_else(|| plain.strip_prefix("00")) {
        Some(international) => international.to_owned(),
        None => match plain.strip_prefix('0') {
            Some(national) => format!("{country}{national}"),
            // `62812…` is written without its plus; anything else could be any number at all.
            None if !country.is_empty() && plain.starts_with(country) => plain,
            None => return None,
        },
    };
    let fits = DIGITS.contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|it| it.is_ascii_digit());
    fits.then(|| format!("+{digits}"))
}

/// Whether a text can be written into the header of a message as one address.
///
/// Deliverability is not examined; line breaks, blanks and a second `@` are refused.
#[must_use]
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let clean = |it: char| {
        !it.is_control()
            && !it.is_whitespace()
            && !matches!(it, '@' | '<' | '>' | ',' | ';' | ':' | '"' | '(' | ')' | '\\' | '[' | ']')
    };
    (1..=64).contains(&local.len())
        && (1..=253).contains(&domain.len())
        && local.chars().chain(domain.chars()).all(clean)
        && domain.split('.').all(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling_wherever_it_was_written_down() {
        for text in ["081234567890", "+62 812-3456-7890", "6281234567890", "0062 812 34567890"] {
            assert_eq!(to_e164(text, "62").as_deref(), Some("+6281234567890"), "{text}");
        }
        assert_eq!(to_e164("(021) 555 0101", "62").as_deref(), Some("+62215550101"));
        for text in ["", "0812", "12345678", "+0812345678", "0812345678x", "+1234567890123456"] {
            assert_eq!(to_e164(text, "62"), None, "{text}");
        }
    }

    #[test]
    fn an_address_cannot_smuggle_a_header() {
        assert!(is_email("ibu.sari@contoh.co.id"));
        for text in [
            "",
            "sari",
            "@contoh.id",
            "sari@",
            "a@b@c",
            "sari@contoh..id",
            "sari@contoh.id\r\nBcc: x@y.z",
            "sari @contoh.id",
            "sari@contoh.id,b@c.id",
        ] {
            assert!(!is_email(text), "{text:?}");
        }
    }
}
