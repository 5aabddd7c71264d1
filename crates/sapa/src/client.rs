//! One small client of the API: method, path, parameters and body in, status and bytes out.
//! It never follows a proxy, waits a bounded time, and sends nothing twice; a server that is not
//! there is a failure with the command that starts one.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::say;

pub use reqwest::Method;

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);
/// How long an answer may take, beyond what the question itself asks to wait.
const ANSWER_PATIENCE: Duration = Duration::from_secs(35);
/// Letters that stand for themselves in a path or a parameter.
const PLAIN: &[u8] = b"-._~";

/// One question.
#[derive(Clone, Debug)]
pub struct Call {
    /// The HTTP method.
    pub method: Method,
    /// The path, encoded.
    pub path: String,
    /// Parameters, not encoded.
    pub query: Vec<(&'static str, String)>,
    /// The body and its media type.
    pub body: Option<(&'static str, Vec<u8>)>,
    /// Columns of a table, as dotted members of an item.
    pub columns: &'static [&'static str],
}

impl Call {
    /// A question with nothing but an address; `segments` are encoded.
    #[must_use]
    pub fn new(method: Method, segments: &[&str]) -> Self {
        let mut path = String::new();
        for it in segments {
            path.push('/');
            path.push_str(&encoded(it));
        }
        Self { method, path, query: Vec::new(), body: None, columns: &[] }
    }

    /// A question that changes nothing.
    #[must_use]
    pub fn get(segments: &[&str]) -> Self {
        Self::new(Method::GET, segments)
    }

    /// A command with a JSON body.
    #[must_use]
    pub fn post(segments: &[&str], body: &Value) -> Self {
        Self::new(Method::POST, segments).sending("application/json", body.to_string().into_bytes())
    }

    /// Gives it a body.
    #[must_use]
    pub fn sending(mut self, media: &'static str, bytes: Vec<u8>) -> Self {
        self.body = Some((media, bytes));
        self
    }

    /// Adds a parameter if it has a value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|it| (name, it.to_string())));
        self
    }

    /// Adds the parameters of a page.
    #[must_use]
    pub fn paged(self, paging: &crate::cli::Paging) -> Self {
        self.with("limit", paging.limit).with("cursor", paging.cursor.as_ref())
    }

    /// Names the columns of its table.
    #[must_use]
    pub fn columns(mut self, columns: &'static [&'static str]) -> Self {
        self.columns = columns;
        self
    }

    /// Path and parameters as they are sent.
    #[must_use]
    pub fn target(&self) -> String {
        let pairs: Vec<String> =
            self.query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        if pairs.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, pairs.join("&"))
        }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The exit code it stands for.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let code = self.json();
        let code = code.get("code").and_then(Value::as_str).unwrap_or_default();
        Exit::of_answer(self.status, code)
    }
}

/// Who asks, and whom.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    server: String,
    headers: Vec<(&'static str, String)>,
}

impl Client {
    /// A client of one server. `headers` go with every question.
    pub fn new(server: &str, headers: Vec<(&'static str, String)>) -> Result<Self, Failure> {
        install_cryptography();
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_PATIENCE)
            .user_agent(concat!("sapa/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Failure::internal)?;
        let server = server.trim_end_matches('/').to_owned();
        if !server.starts_with("http://") && !server.starts_with("https://") {
            return Err(Failure::new(
                Exit::Usage,
                say!("`{server}` is not the address of a server", "`{server}` bukan alamat server"),
                say!(
                    "Write one such as http://127.0.0.1:7272.",
                    "Tulis misalnya http://127.0.0.1:7272."
                ),
            ));
        }
        Ok(Self { http, server, headers })
    }

    /// The server's address.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Asks and reads the whole answer.
    pub async fn call(&self, call: &Call) -> Result<Answer, Failure> {
        let asked = async {
            let response = self.send(call).await?;
            let status = response.status().as_u16();
            let body = response.bytes().await.map_err(|error| self.gone(&error))?.to_vec();
            Ok(Answer { status, body })
        };
        tokio::time::timeout(ANSWER_PATIENCE, asked).await.unwrap_or_else(|_| Err(self.slow(call)))
    }

    /// Asks and hands out the answer as it comes: for streams.
    pub async fn send(&self, call: &Call) -> Result<Response, Failure> {
        let url = format!("{}{}", self.server, call.target());
        let mut request = self.http.request(call.method.clone(), url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some((media, bytes)) = &call.body {
            request = request.header("Content-Type", *media).body(bytes.clone());
        }
        request.send().await.map_err(|error| self.gone(&error))
    }

    fn gone(&self, error: &reqwest::Error) -> Failure {
        let server = &self.server;
        let what = if error.is_connect() {
            say!("no server answers at {server}", "tidak ada server yang menjawab di {server}")
        } else {
            say!("the connection to {server} broke", "koneksi ke {server} terputus")
        };
        let remedy = say!(
            "Start one with `sapa demo` or `sapa serve`, or name it with --server or SAPA_SERVER.",
            "Jalankan dengan `sapa demo` atau `sapa serve`, atau sebutkan dengan --server atau SAPA_SERVER."
        );
        Failure::new(Exit::Unavailable, what, remedy)
    }

    fn slow(&self, call: &Call) -> Failure {
        let remedy = if call.method == Method::GET {
            say!("Try again; look at `sapa health`.", "Coba lagi; lihat `sapa health`.")
        } else {
            say!(
                "It may have been recorded: ask with `sapa event receipt`, or send the same id again.",
                "Mungkin sudah tercatat: tanyakan dengan `sapa event receipt`, atau kirim lagi id yang sama."
            )
        };
        let (server, seconds) = (&self.server, ANSWER_PATIENCE.as_secs());
        let what = say!(
            "{server} did not answer within {seconds} seconds",
            "{server} tidak menjawab dalam {seconds} detik"
        );
        Failure::new(Exit::Later, what, remedy)
    }
}

/// Chooses the cryptography of TLS once for the process.
pub fn install_cryptography() {
    // It fails when one is chosen already, which is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Escapes what is not plainly allowed in a path or a parameter.
fn encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_values_are_escaped_and_nothing_else_is_added() {
        let call = Call::get(&["v1", "customers", "H1:204/x", "timeline"])
            .with("topic", Some("booking"))
            .with("from", Some("2026-01-01T00:00:00+07:00"))
            .with("to", None::<String>);
        assert_eq!(
            call.target(),
            "/v1/customers/H1%3A204%2Fx/timeline?topic=booking&from=2026-01-01T00%3A00%3A00%2B07%3A00"
        );
    }
}
