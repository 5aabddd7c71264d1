//! Canonical JSON (RFC 8785): one text for one value, so that equal content has an equal hash.
//!
//! Promises: members sorted by UTF-16 code units, no spaces, the shortest text of each number.
//! One difference from the RFC: integers beyond 2^53 keep all their digits, since cutting them to
//! a double would give two different events one fingerprint.

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use serde_json::{Number, Value};
use sha2::{Digest as _, Sha256};

/// The canonical text of a value.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_value(value, &mut text);
    text
}

/// SHA-256 of the canonical text, as 64 lower-case hexadecimal digits.
#[must_use]
pub fn hash(value: &Value) -> String {
    HEXLOWER.encode(&Sha256::digest(canonical(value)))
}

fn write_value(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => write_number(number, text),
        Value::String(string) => write_string(string, text),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_value(item, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            text.push('{');
            for (index, (name, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_string(name, text);
                text.push(':');
                write_value(member, text);
            }
            text.push('}');
        }
    }
}

/// Escapes exactly what the RFC escapes: quote, backslash and control characters.
fn write_string(string: &str, text: &mut String) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            control if control < ' ' => {
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            plain => text.push(plain),
        }
    }
    text.push('"');
}

fn write_number(number: &Number, text: &mut String) {
    match number.as_f64() {
        Some(float) if number.is_f64() => write_float(float, text),
        _ => text.push_str(&number.to_string()),
    }
}

/// Writes a double as ECMAScript does: plain digits from 1e-6 up to 1e21, else an exponent.
fn write_float(float: f64, text: &mut String) {
    if float == 0.0 {
        text.push('0'); // minus zero has no sign
        return;
    }
    // Rust prints the shortest digits that read back as the same double: "-1.25e-7".
    let shortest = format!("{float:e}");
    let (mantissa, exponent) = shortest.split_once('e').expect("{:e} always writes an exponent");
    let exponent: i32 = exponent.parse().expect("{:e} writes an integer exponent");
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if float < 0.0 {
        text.push('-');
    }
    // The decimal point stands after this many digits.
    let point = exponent + 1;
    let count = i32::try_from(digits.len()).expect("a double has at most 17 digits");
    match usize::try_from(point) {
        Ok(whole) if (1..=21).contains(&point) && count <= point => {
            text.push_str(&digits);
            text.extend(std::iter::repeat_n('0', whole - digits.len()));
        }
        Ok(whole) if (1..=21).contains(&point) => {
            let (left, right) = digits.split_at(whole);
            let _ = write!(text, "{left}.{right}");
        }
        _ if (-5..=0).contains(&point) => {
            text.push_str("0.");
            text.extend((point..0).map(|_| '0'));
            text.push_str(&digits);
        }
        _ => {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            let _ = write!(text, "{first}{dot}{rest}e{exponent:+}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_written_as_the_rfc_writes_them() {
        for (float, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (333_333_333.333_333_3, "333333333.3333333"),
            (1e30, "1e+30"),
            (4.50, "4.5"),
            (2e-3, "0.002"),
            (1e-27, "1e-27"),
            (0.000_001, "0.000001"),
            (1e-7, "1e-7"),
            (1.25e-7, "1.25e-7"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (9_007_199_254_740_992.0, "9007199254740992"),
        ] {
            assert_eq!(canonical(&json!(float)), expected);
        }
        assert_eq!(canonical(&json!(u64::MAX)), "18446744073709551615");
        assert_eq!(canonical(&json!(i64::MIN)), "-9223372036854775808");
    }

    #[test]
    fn members_are_sorted_by_utf_16_code_units() {
        let value: Value = serde_json::from_str(
            r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#,
        )
        .expect("valid JSON");
        assert_eq!(
            canonical(&value),
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}"
        );
    }

    #[test]
    fn only_quotes_backslashes_and_control_characters_are_escaped() {
        let value = json!("\u{20ac}$\u{f}\nA'B\"\\\\\"/\u{7f}");
        assert_eq!(canonical(&value), "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\"");
    }

    #[test]
    fn the_hash_ignores_order_and_spelling_but_not_content() {
        let read = |text: &str| serde_json::from_str::<Value>(text).expect("valid JSON");
        let plain = hash(&read(r#"{"a":1,"b":[2.0,"x"]}"#));
        assert_eq!(hash(&read(r#" { "b" : [2, "\u0078"], "a": 1.0 } "#)), plain);
        assert_ne!(hash(&read(r#"{"a":1,"b":["x",2]}"#)), plain);
        assert_eq!(
            hash(&json!({})),
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }

    proptest! {
        #[test]
        fn a_canonical_number_reads_back_as_the_same_number(bits: u64) {
            let float = f64::from_bits(bits);
            prop_assume!(float.is_finite());
            let text = canonical(&json!(float));
            let read: f64 = text.parse().expect("a number");
            // Minus zero is the one double that loses its sign.
            prop_assert_eq!((read + 0.0).to_bits(), (float + 0.0).to_bits());
        }

        #[test]
        fn a_canonical_string_reads_back_as_the_same_string(text in ".*") {
            let read: Value = serde_json::from_str(&canonical(&json!(text))).expect("valid JSON");
            prop_assert_eq!(read, json!(text));
        }
    }
}
