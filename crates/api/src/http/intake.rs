//! What comes in over HTTP: heads within limits, bodies within a cap and a deadline.
//!
//! `Content-Length` is a hint that may refuse early; the cap that counts is kept while reading.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use bytes::{Bytes, BytesMut};
use events::cloudevents::{BATCH_BYTES_MAX, EVENT_BYTES_MAX};
use events::problem::{Code, Problem};
use events::wire::Form;
use futures_util::StreamExt;

/// Bytes of all header names and values.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Headers of one request.
pub const HEADERS_MAX: usize = 64;
/// Bytes of path and query.
pub const URI_BYTES_MAX: usize = 8 * 1024;
/// Bytes of the body of a command.
pub const COMMAND_BYTES_MAX: usize = 65_536;
/// How long a body may take to arrive.
pub const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Refuses heads that are too large.
pub fn head(uri: &Uri, headers: &HeaderMap) -> Result<(), Box<Problem>> {
    let path = uri.path_and_query().map_or(0, |it| it.as_str().len());
    if URI_BYTES_MAX < path {
        return Err(Box::new(Problem::of(Code::UriTooLong)));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if HEAD_BYTES_MAX < bytes || HEADERS_MAX < headers.len() {
        return Err(Box::new(Problem::new(
            Code::HeadersTooLarge,
            format!("At most {HEADERS_MAX} headers and {HEAD_BYTES_MAX} bytes of them."),
            format!("Paling banyak {HEADERS_MAX} header dan {HEAD_BYTES_MAX} byte seluruhnya."),
        )));
    }
    Ok(())
}

/// Whether this server answers for the host that was asked for (bad input B59).
pub fn host(headers: &HeaderMap, uri: &Uri, allowed: &[String]) -> Result<(), Box<Problem>> {
    let named = headers.get(header::HOST).and_then(|it| it.to_str().ok()).or(uri.host());
    let fits = |named: &str| {
        let bare = bare_host(named);
        allowed
            .iter()
            .any(|it| it.eq_ignore_ascii_case(named) || bare_host(it).eq_ignore_ascii_case(bare))
    };
    if named.is_some_and(fits) {
        return Ok(());
    }
    Err(Box::new(
        Problem::new(
            Code::HostNotAllowed,
            "This server does not answer for that host name.",
            "Server ini tidak menjawab untuk nama host itu.",
        )
        .hint(
            "The operator can add it to http.allowed_hosts.",
            "Operator dapat menambahkannya ke http.allowed_hosts.",
        ),
    ))
}

fn bare_host(named: &str) -> &str {
    match named.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|it| it.is_ascii_digit()) && !host.ends_with(':') =>
        {
            host
        }
        _ => named,
    }
}

/// Reads a body up to a cap, within [`BODY_WITHIN`].
pub async fn body(body: Body, headers: &HeaderMap, max: usize) -> Result<Bytes, Box<Problem>> {
    let told = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    if told.is_some_and(|it: usize| max < it) {
        return Err(too_large(max));
    }
    tokio::time::timeout(BODY_WITHIN, collect(body, max)).await.unwrap_or_else(|_| {
        Err(Box::new(Problem::new(
            Code::ReadTimeout,
            format!("The body did not arrive within {} s.", BODY_WITHIN.as_secs()),
            format!("Isi tidak tiba dalam {} detik.", BODY_WITHIN.as_secs()),
        )))
    })
}

async fn collect(body: Body, max: usize) -> Result<Bytes, Box<Problem>> {
    let mut chunks = body.into_data_stream();
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Box::new(Problem::of(Code::ReadTimeout)))?;
        if max < first.len() + rest.len() + chunk.len() {
            return Err(too_large(max));
        }
        // One chunk is the rule; it is handed on as it came.
        if first.is_empty() && rest.is_empty() {
            first = chunk;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&chunk);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn too_large(max: usize) -> Box<Problem> {
    Box::new(Problem::new(
        Code::TooLarge,
        format!("The body may have {max} bytes. Put files elsewhere and send a link."),
        format!("Isi paling besar {max} byte. Simpan berkas di tempat lain dan kirim tautannya."),
    ))
}

/// Refuses compressed bodies (bad input B9).
fn uncompressed(headers: &HeaderMap) -> Result<(), Box<Problem>> {
    events::headers::uncompressed(headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes))
}

/// The media type without its parameters, in lower case.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The form that the headers of a request announce, the same as over NATS.
pub fn form(headers: &HeaderMap) -> Result<Form, Box<Problem>> {
    let all: Vec<(&str, &[u8])> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    Form::of(all.iter().copied())
}

/// The most bytes a body of this form may have.
#[must_use]
pub fn bytes_max(form: &Form) -> usize {
    match form {
        Form::Structured | Form::Binary(_) | Form::Untyped => EVENT_BYTES_MAX,
        Form::Batch | Form::Json => BATCH_BYTES_MAX,
    }
}

/// Refuses a command's body that is not JSON; a body of nothing needs no type.
pub fn json_type(headers: &HeaderMap, body: &[u8]) -> Result<(), Box<Problem>> {
    uncompressed(headers)?;
    if body.is_empty() || media_type(headers) == "application/json" {
        return Ok(());
    }
    Err(Box::new(Problem::new(
        Code::MediaType,
        "Content-Type must be application/json.",
        "Content-Type harus application/json.",
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_compared_with_and_without_its_port() {
        let allowed = ["127.0.0.1:7272".to_owned(), "localhost".to_owned(), "[::1]".to_owned()];
        let asked = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            super::host(&headers, &Uri::from_static("/"), &allowed).is_ok()
        };
        for host in ["127.0.0.1:7272", "127.0.0.1:9", "LOCALHOST:7272", "localhost", "[::1]:7272"] {
            assert!(asked(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:7272", ""] {
            assert!(!asked(host), "{host}");
        }
    }

    #[tokio::test]
    async fn a_body_over_the_cap_is_refused_whatever_it_says_of_itself() {
        let sent = |bytes: usize| Body::from(vec![b'x'; bytes]);
        assert_eq!(body(sent(8), &HeaderMap::new(), 8).await.unwrap().len(), 8);
        let refused = body(sent(9), &HeaderMap::new(), 8).await.unwrap_err();
        assert_eq!(refused.code, Code::TooLarge);
    }
}
