//! What the demo prints once it is ready: where everything is, whom to look at first, and commands
//! that work when pasted in the folder they were printed in.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use events::problem::Language;
use serde_json::{Value, json};

use super::marker::Marker;

/// The port that commands ask without being told.
const USUAL_HTTP: &str = "http://127.0.0.1:7272";
/// The folder in which commands find the key without being told.
const USUAL_FOLDER: &str = "sapa-data/demo";

/// What there is to tell.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The language.
    pub language: Language,
    /// The path this program was started with.
    pub program: String,
    /// Where it listens.
    pub http: String,
    /// Where the broker is; none: why not.
    pub nats: Result<String, String>,
    /// The tenant.
    pub tenant: String,
    /// The data folder, as it was named.
    pub folder: String,
    /// The end of the log.
    pub position: i64,
    /// The story.
    pub marker: Marker,
    /// Customer and sentence.
    pub look_at: Vec<(String, String)>,
    /// How long it took.
    pub took: Duration,
}

impl Ready {
    /// One line of JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "event": "ready", "console": null, "api": format!("{}/v1", self.http),
            "nats": self.nats.as_ref().ok(), "key_file": self.key_file(),
            "position": self.position, "seconds": tenths(self.took),
        })
    }

    /// The page for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let words = Words::of(self.language);
        let mut text = format!("Sapa {} demo\n\n", env!("CARGO_PKG_VERSION"));
        for (label, value, note) in self.places(&words) {
            let line = format!("  {label:<13}{value:<34}{note}");
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let _ = writeln!(text, "\n  {}", words.look);
        for (customer, sentence) in &self.look_at {
            let _ = writeln!(text, "    {customer:<13}{sentence}");
        }
        let _ = writeln!(text, "\n  {}", words.try_);
        for command in self.commands() {
            let _ = writeln!(text, "    {command}");
        }
        let _ = write!(text, "\n{}", words.ready(self.took));
        text
    }

    fn places(&self, words: &Words) -> Vec<(&'static str, String, String)> {
        let marker = &self.marker;
        let nats = match &self.nats {
            Ok(url) => {
                (url.clone(), format!("sapa.v1.{}.>   ({})", self.tenant, words.no_password))
            }
            Err(why) => (words.off.to_owned(), why.clone()),
        };
        let story = format!(
            "{} {}, {} {}, {} {}, seed {}",
            marker.customers,
            words.customers,
            marker.days,
            words.days,
            marker.events,
            words.events,
            marker.seed
        );
        vec![
            ("API", format!("{}/v1", self.http), "/schemas  /problems  /metrics".to_owned()),
            ("NATS", nats.0, nats.1),
            (
                words.log,
                format!("{}/log.db", self.folder),
                format!("SQLite, {} {}", words.position, self.position),
            ),
            (words.story, story, String::new()),
            (words.key, self.key_file(), String::new()),
        ]
    }

    fn key_file(&self) -> String {
        format!("{}/admin.key", self.folder)
    }

    fn commands(&self) -> Vec<String> {
        let (http, key) = (&self.http, self.key_file());
        let mut options = String::new();
        if http != USUAL_HTTP {
            let _ = write!(options, " --server {http}");
        }
        // A key and a broker in an unusual folder have to be named.
        let usual = self.folder == USUAL_FOLDER;
        let before = if usual { String::new() } else { format!("SAPA_KEY_FILE={key} ") };
        let broker = match &self.nats {
            Ok(url) if !usual => format!(" --nats {url}"),
            _ => String::new(),
        };
        let sapa = |rest: &str| format!("{before}{}{options} {rest}", self.program);
        let mut commands = vec![
            format!(
                "curl -s -H \"Authorization: Bearer $(cat {key})\" \"{http}/v1/customers/c-sari/timeline?limit=5\""
            ),
            sapa("worklist show --team frontdesk"),
            sapa(
                "event publish --type interaction.contacted --customer c-sari --channel phone --data '{\"purpose\":\"courtesy\",\"outcome\":\"reached\"}'",
            ),
        ];
        if self.nats.is_ok() {
            commands.push(format!(
                "{before}{}{options}{broker} request customers.get '{{\"id\":\"c-sari\"}}'",
                self.program
            ));
        }
        commands.push(sapa("alert tail"));
        commands
    }
}

/// Without the dot and slash in front.
#[must_use]
pub fn shown(folder: &Path) -> String {
    let text = folder.display().to_string();
    text.strip_prefix("./").map(str::to_owned).unwrap_or(text)
}

/// Whole tenths of a second.
fn tenths(took: Duration) -> f64 {
    (took.as_secs_f64() * 10.0).round() / 10.0
}

/// The labels of one language.
struct Words {
    language: Language,
    log: &'static str,
    story: &'static str,
    key: &'static str,
    look: &'static str,
    try_: &'static str,
    position: &'static str,
    customers: &'static str,
    days: &'static str,
    events: &'static str,
    no_password: &'static str,
    off: &'static str,
}

impl Words {
    const fn of(language: Language) -> Self {
        match language {
            Language::En => Self {
                language,
                log: "Log",
                story: "Story",
                key: "Admin key",
                look: "Look at these first",
                try_: "Try",
                position: "position",
                customers: "customers",
                days: "days",
                events: "events",
                no_password: "no password: this demo only",
                off: "off",
            },
            Language::Id => Self {
                language,
                log: "Catatan",
                story: "Cerita",
                key: "Kunci admin",
                look: "Lihat ini dahulu",
                try_: "Coba",
                position: "posisi",
                customers: "pelanggan",
                days: "hari",
                events: "peristiwa",
                no_password: "tanpa kata sandi: hanya untuk demo ini",
                off: "mati",
            },
        }
    }

    fn ready(&self, took: Duration) -> String {
        let seconds = format!("{:.1}", tenths(took));
        match self.language {
            Language::En => format!(
                "Ready in {seconds} s. Ctrl-C stops everything and keeps the data; --fresh starts a new story."
            ),
            Language::Id => format!(
                "Siap dalam {} dtk. Ctrl-C menghentikan semuanya dan menyimpan data; --fresh memulai cerita baru.",
                seconds.replace('.', ",")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(language: Language) -> Ready {
        Ready {
            language,
            program: "target/release/sapa".into(),
            http: USUAL_HTTP.into(),
            nats: Ok("nats://127.0.0.1:4272".into()),
            tenant: "main".into(),
            folder: USUAL_FOLDER.into(),
            position: 18_204,
            marker: Marker {
                customers: 500,
                days: 365,
                seed: 7,
                now: "2026-06-24T02:00:00.000000Z".into(),
                zone: "Asia/Jakarta".into(),
                events: 18_204,
            },
            look_at: vec![("c-sari".into(), "we have been silent for 72 days, usually 24".into())],
            took: Duration::from_millis(3_120),
        }
    }

    #[test]
    fn the_page_is_exactly_this() {
        let wanted = "Sapa 0.1.0 demo

  API          http://127.0.0.1:7272/v1          /schemas  /problems  /metrics
  NATS         nats://127.0.0.1:4272             sapa.v1.main.>   (no password: this demo only)
  Log          sapa-data/demo/log.db             SQLite, position 18204
  Story        500 customers, 365 days, 18204 events, seed 7
  Admin key    sapa-data/demo/admin.key

  Look at these first
    c-sari       we have been silent for 72 days, usually 24

  Try
    curl -s -H \"Authorization: Bearer $(cat sapa-data/demo/admin.key)\" \"http://127.0.0.1:7272/v1/customers/c-sari/timeline?limit=5\"
    target/release/sapa worklist show --team frontdesk
    target/release/sapa event publish --type interaction.contacted --customer c-sari --channel phone --data '{\"purpose\":\"courtesy\",\"outcome\":\"reached\"}'
    target/release/sapa request customers.get '{\"id\":\"c-sari\"}'
    target/release/sapa alert tail

Ready in 3.1 s. Ctrl-C stops everything and keeps the data; --fresh starts a new story.";
        assert_eq!(ready(Language::En).to_text(), wanted);
        let text = ready(Language::Id).to_text();
        for label in
            ["Catatan", "Cerita", "Kunci admin", "Lihat ini dahulu", "Coba", "Siap dalam 3,1 dtk."]
        {
            assert!(text.contains(label), "{text}");
        }
    }

    #[test]
    fn an_unusual_folder_and_port_are_named_in_every_command() {
        let mut ready = ready(Language::En);
        ready.folder = "elsewhere".into();
        ready.http = "http://127.0.0.1:9".into();
        for command in ready.commands().iter().filter(|it| !it.starts_with("curl")) {
            assert!(command.starts_with("SAPA_KEY_FILE=elsewhere/admin.key "), "{command}");
            assert!(command.contains(" --server http://127.0.0.1:9 "), "{command}");
        }
    }
}
