//! Headers as strangers send them: the `ce-*` attributes of a binary event, on every face that has
//! headers.
//!
//! Values are unquoted if they stand in double quotes, then percent-decoded, then must be UTF-8. Only
//! the names of attributes are read without regard to case. An attribute that is there twice, a
//! compressed body and too many bytes of headers are refused, with the same answer everywhere.

use serde_json::{Map, Value};

use crate::problem::{Code, Problem};

/// Bytes of all headers of one request or message.
pub const BYTES_MAX: usize = 16 * 1024;

/// Refuses more bytes of headers than [`BYTES_MAX`] (bad input B58).
pub fn within(bytes: usize) -> Result<(), Box<Problem>> {
    if bytes <= BYTES_MAX {
        return Ok(());
    }
    Err(Box::new(Problem::new(
        Code::HeadersTooLarge,
        format!("{bytes} bytes of headers; the limit is {BYTES_MAX}."),
        format!("{bytes} byte header; batasnya {BYTES_MAX}."),
    )))
}

/// Refuses compressed bodies (bad input B9). `encoding` is the header `Content-Encoding`.
pub fn uncompressed(encoding: Option<&[u8]>) -> Result<(), Box<Problem>> {
    match encoding {
        Some(it) if !it.eq_ignore_ascii_case(b"identity") => Err(Box::new(
            Problem::new(
                Code::ContentEncoding,
                "Compressed bodies are not accepted.",
                "Isi terkompresi tidak diterima.",
            )
            .hint("Send it uncompressed.", "Kirim tanpa kompresi."),
        )),
        _ => Ok(()),
    }
}

/// The `ce-*` headers as attributes; the content type of the body is the attribute
/// `datacontenttype` (bad input B63).
pub fn attributes<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    content_type: Option<&str>,
) -> Result<Map<String, Value>, Box<Problem>> {
    let mut members = Map::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let Some(attribute) = name.strip_prefix("ce-") else { continue };
        let Some(text) = decoded(value) else {
            return Err(Box::new(Problem::at(
                Code::HeaderEncoding,
                format!("/{attribute}"),
                format!("The header ce-{attribute} is not percent-encoded UTF-8."),
                format!("Header ce-{attribute} bukan UTF-8 yang dikodekan dengan persen."),
            )));
        };
        if members.insert(attribute.to_owned(), Value::from(text)).is_some() {
            return Err(Box::new(Problem::at(
                Code::DuplicateKey,
                format!("/{attribute}"),
                format!("The header ce-{attribute} is there twice."),
                format!("Header ce-{attribute} ada dua kali."),
            )));
        }
    }
    if let Some(it) = content_type {
        members.insert("datacontenttype".to_owned(), Value::from(it));
    }
    Ok(members)
}

/// Takes off double quotes, decodes percent signs, and insists on UTF-8.
pub(crate) fn decoded(value: &[u8]) -> Option<String> {
    let value = value.trim_ascii();
    let quoted = value.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\""));
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = quoted.unwrap_or(value).iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b'\\' if quoted.is_some() => rest.next()?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_are_unquoted_then_decoded_then_utf8() {
        for (value, wanted) in [
            (&b"plain"[..], Some("plain")),
            (b"\"a b\"", Some("a b")),
            (b"\"a\\\"b\"", Some("a\"b")),
            (b"Caf%C3%A9", Some("Caf\u{e9}")),
            (b"\"Euro%20%E2%82%AC\"", Some("Euro \u{20ac}")),
            (b"%C0%A0", None),
            (b"%zz", None),
            (b"100%", None),
            (b"%2", None),
            (b"\xFF", None),
        ] {
            assert_eq!(decoded(value).as_deref(), wanted, "{value:?}");
        }
    }

    #[test]
    fn an_attribute_stands_there_once_whatever_its_case() {
        let read = |pairs: &[(&'static str, &'static [u8])]| {
            attributes(pairs.iter().copied(), Some("application/json"))
        };
        let members =
            read(&[("CE-Id", b"k-1"), ("host", b"a"), ("ce-actor", b"customer")]).unwrap();
        assert_eq!(members["id"], "k-1");
        assert_eq!((members.len(), &members["datacontenttype"]), (3, &"application/json".into()));
        let twice = read(&[("ce-id", b"k-1"), ("Ce-Id", b"k-2")]).unwrap_err();
        assert_eq!((twice.code, twice.errors[0].pointer.as_str()), (Code::DuplicateKey, "/id"));
        assert_eq!(read(&[("ce-id", b"%")]).unwrap_err().code, Code::HeaderEncoding);
    }

    #[test]
    fn a_body_is_not_compressed() {
        assert!(uncompressed(None).is_ok() && uncompressed(Some(b"Identity")).is_ok());
        assert_eq!(uncompressed(Some(b"gzip")).unwrap_err().code, Code::ContentEncoding);
        assert_eq!(within(BYTES_MAX + 1).unwrap_err().code, Code::HeadersTooLarge);
    }
}
