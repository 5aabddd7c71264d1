//! Who may do what on a NATS server of one's own. Sapa's own users share one account that owns the
//! streams; every other service has an account to itself, so that an answer it asks for cannot be sent
//! anywhere but to it. Nobody but `setup` may make streams or consumers. Pure: names and public keys in,
//! the text of a server configuration out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// A service that publishes facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publisher {
    /// Its name.
    pub name: String,
    /// The topics it may publish; all when empty.
    pub topics: Vec<String>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Whose subjects.
    pub tenant: String,
    /// Who publishes facts.
    pub publishers: Vec<Publisher>,
    /// Who asks and acts over request-reply.
    pub agents: Vec<String>,
    /// Who takes alerts, each from a consumer of its name.
    pub alert_consumers: Vec<String>,
    /// Where the server listens.
    pub listen: SocketAddr,
    /// Where it keeps its streams.
    pub store_dir: String,
    /// How large both streams may become together.
    pub file_store_bytes: u64,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// What it is for, in a few words.
    pub may: String,
    account: String,
    publish: Vec<String>,
    subscribe: Vec<String>,
    /// Subjects of Sapa's account that it reaches, and whether more than one message comes back.
    services: Vec<(String, bool)>,
}

/// The account that owns streams and consumers.
const CORE: &str = "SAPA";
/// Room beside the streams, for what the server keeps about them.
const SPARE_BYTES: u64 = 1 << 30;

/// Whether a text can be a name: it becomes a file, an account and part of subjects.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.starts_with(|it: char| it.is_ascii_lowercase())
        && text
            .bytes()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || b"_-".contains(&it))
}

impl Layout {
    /// Everybody there is, Sapa's own first.
    #[must_use]
    pub fn users(&self) -> Vec<User> {
        let mut all = vec![User::new("sys", "SYS", "watch the server itself", &[], &[])];
        all.extend(own_users());
        let tenant = &self.tenant;
        for it in &self.publishers {
            let topics =
                if it.topics.is_empty() { vec!["*".to_owned()] } else { it.topics.clone() };
            let mut subjects: Vec<String> =
                topics.iter().map(|topic| format!("sapa.v1.{tenant}.in.{topic}.*")).collect();
            subjects.push(format!("sapa.v1.{tenant}.api.events.append"));
            let may = format!("publish facts ({})", topics.join(", ").replace('*', "all topics"));
            all.push(User::outside(&it.name, "PUBLISH", may, subjects, None));
        }
        for it in &self.agents {
            let subjects = vec![format!("sapa.v1.{tenant}.api.*.*")];
            all.push(User::outside(it, "AGENT", "ask and act".to_owned(), subjects, None));
        }
        for it in &self.alert_consumers {
            let next = format!("$JS.API.CONSUMER.MSG.NEXT.SAPA_OUT.{it}");
            let subjects = vec![
                next.clone(),
                format!("$JS.API.CONSUMER.INFO.SAPA_OUT.{it}"),
                format!("$JS.ACK.SAPA_OUT.{it}.>"),
            ];
            all.push(User::outside(it, "ALERTS", "take alerts".to_owned(), subjects, Some(&next)));
        }
        all
    }

    /// The port on which the server tells how it is configured, next to nothing else.
    #[must_use]
    pub fn monitor_port(&self) -> u16 {
        const BESIDE: u16 = 4_000;
        let port = self.listen.port();
        port.checked_add(BESIDE).unwrap_or(port - BESIDE)
    }

    /// The text of the server's configuration, given the public key of each user.
    #[must_use]
    pub fn server_config(&self, keys: &[(String, String)]) -> String {
        let users = self.users();
        let mut accounts: BTreeMap<&str, Vec<&User>> = BTreeMap::new();
        for it in &users {
            accounts.entry(&it.account).or_default().push(it);
        }
        // Writing into a string cannot fail.
        let mut text = String::new();
        let _ = write!(
            text,
            "# Least-privilege NATS for Sapa, written by `sapa nats config`. It holds public keys only; the\n\
             # .nk files beside it are the secrets. Needs nats-server 2.12.15 or later, or 2.14.4 or later.\n\
             # Beyond one machine add TLS: https://docs.nats.io/running-a-nats-service/configuration/securing_nats/tls\n\n\
             server_name: sapa\n\
             listen: \"{listen}\"\n\
             # Monitoring asks nobody who they are: this machine only.\n\
             http: \"127.0.0.1:{monitor}\"\n\
             max_payload: 1048576\n\
             write_deadline: \"5s\"\n\
             ping_interval: \"20s\"\n\n\
             jetstream {{\n  store_dir: \"{store}\"\n  max_memory_store: 64MB\n  max_file_store: {bytes}\n  \
             # An acknowledgement then means that the message is on disk.\n  sync_interval: always\n  strict: true\n}}\n\n\
             system_account: SYS\n\n\
             accounts {{\n",
            listen = self.listen,
            monitor = self.monitor_port(),
            store = self.store_dir,
            bytes = self.file_store_bytes.saturating_add(SPARE_BYTES),
        );
        for (account, members) in &accounts {
            let _ = writeln!(text, "  {account}: {{");
            if *account == CORE {
                text.push_str("    jetstream: enabled\n");
            }
            text.push_str("    users: [\n");
            for it in members {
                let key = keys.iter().find(|(name, _)| *name == it.name).map_or("", |it| &it.1);
                it.write(&mut text, key);
            }
            text.push_str("    ]\n");
            if *account == CORE {
                write_exports(&mut text, &users);
            }
            let services: Vec<&(String, bool)> =
                members.iter().flat_map(|it| &it.services).collect();
            if !services.is_empty() {
                text.push_str("    imports: [\n");
                for (subject, _) in services {
                    let _ = writeln!(
                        text,
                        "      {{ service: {{ account: {CORE}, subject: \"{subject}\" }} }}"
                    );
                }
                text.push_str("    ]\n");
            }
            text.push_str("  }\n");
        }
        text.push_str("}\n");
        text
    }
}

/// The users of Sapa itself, and the people on duty.
fn own_users() -> [User; 5] {
    let inbox = |name: &str| format!("_INBOX_{name}.>");
    [
        User::new(
            "setup",
            CORE,
            "make streams and consumers (sapa setup)",
            &["$JS.API.>"],
            &[&inbox("setup")],
        ),
        User::new(
            "ingest",
            CORE,
            "record what is published",
            &[
                "$JS.API.STREAM.INFO.SAPA_IN",
                "$JS.API.STREAM.MSG.GET.SAPA_IN",
                "$JS.API.CONSUMER.INFO.SAPA_IN.ingest",
                "$JS.API.CONSUMER.UNPIN.SAPA_IN.ingest",
                "$JS.API.CONSUMER.MSG.NEXT.SAPA_IN.ingest",
                "$JS.ACK.SAPA_IN.ingest.>",
                "$JS.ACK.*.*.SAPA_IN.ingest.>",
                "sapa.v1.*.quarantine.*",
            ],
            &[&inbox("ingest")],
        ),
        User::new(
            "relay",
            CORE,
            "publish what is recorded",
            &[
                "sapa.v1.*.out.*.*.*",
                "sapa.v1.*.alert.*.*",
                "$JS.API.STREAM.INFO.SAPA_OUT",
                "$JS.API.STREAM.MSG.GET.SAPA_OUT",
            ],
            &[&inbox("relay")],
        ),
        // Where an answer goes is the asker's choice, so the places are listed: never allow_responses.
        User::new(
            "api",
            CORE,
            "answer requests",
            &["_R_.>", "_INBOX_ops.>"],
            &["sapa.v1.*.api.*.* sapa", "$SRV.>", &inbox("api")],
        ),
        User::new(
            "ops",
            CORE,
            "look at services, streams and consumers; no message",
            &[
                "$SRV.>",
                "$JS.API.INFO",
                "$JS.API.STREAM.NAMES",
                "$JS.API.STREAM.LIST",
                "$JS.API.STREAM.INFO.*",
                "$JS.API.CONSUMER.NAMES.*",
                "$JS.API.CONSUMER.LIST.*",
                "$JS.API.CONSUMER.INFO.*.*",
            ],
            &[&inbox("ops"), "sapa.v1.*.quarantine.*"],
        ),
    ]
}

/// Which accounts may reach which subject of Sapa's own.
fn write_exports(text: &mut String, users: &[User]) {
    let mut exports: BTreeMap<(&str, bool), Vec<&str>> = BTreeMap::new();
    for user in users {
        for (subject, streams) in &user.services {
            exports.entry((subject, *streams)).or_default().push(&user.account);
        }
    }
    text.push_str("    exports: [\n");
    for ((subject, streams), accounts) in exports {
        let kind = if streams { ", response_type: stream" } else { "" };
        let _ = writeln!(
            text,
            "      {{ service: \"{subject}\"{kind}, accounts: [{}] }}",
            accounts.join(", ")
        );
    }
    text.push_str("    ]\n");
}

impl User {
    fn new(name: &str, account: &str, may: &str, publish: &[&str], subscribe: &[&str]) -> Self {
        let owned = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
        Self {
            name: name.to_owned(),
            may: may.to_owned(),
            account: account.to_owned(),
            publish: owned(publish),
            subscribe: owned(subscribe),
            services: Vec::new(),
        }
    }

    /// A user alone in an account: nobody else's inbox is in it, so any inbox is its own.
    fn outside(
        name: &str,
        kind: &str,
        may: String,
        subjects: Vec<String>,
        streams: Option<&str>,
    ) -> Self {
        let account = format!("{kind}_{}", name.to_ascii_uppercase().replace('-', "_"));
        let services =
            subjects.iter().map(|it| (it.clone(), streams == Some(it.as_str()))).collect();
        let subscribe = vec!["_INBOX.>".to_owned(), format!("_INBOX_{name}.>")];
        Self { name: name.to_owned(), may, account, publish: subjects, subscribe, services }
    }

    fn write(&self, text: &mut String, key: &str) {
        let _ = writeln!(text, "      # {}: {}", self.name, self.may);
        if self.publish.is_empty() {
            let _ = writeln!(text, "      {{ nkey: {key} }}");
            return;
        }
        let list = |all: &[String]| {
            all.iter().fold(String::new(), |list, it| list + &format!("            \"{it}\"\n"))
        };
        let _ = write!(
            text,
            "      {{ nkey: {key}, permissions: {{\n          publish: {{ allow: [\n{}          ] }}\n          \
             subscribe: {{ allow: [\n{}          ] }} }} }}\n",
            list(&self.publish),
            list(&self.subscribe),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout {
            tenant: "main".to_owned(),
            publishers: vec![
                Publisher { name: "desk".to_owned(), topics: Vec::new() },
                Publisher { name: "crs".to_owned(), topics: vec!["booking".to_owned()] },
            ],
            agents: vec!["agent".to_owned()],
            alert_consumers: vec!["pager".to_owned()],
            listen: "127.0.0.1:4222".parse().unwrap(),
            store_dir: "/tmp/x".to_owned(),
            file_store_bytes: 24 << 30,
        }
    }

    #[test]
    fn only_setup_may_make_streams_and_nobody_answers_wherever_it_is_told_to() {
        for user in layout().users().iter().filter(|it| it.name != "setup") {
            for subject in &user.publish {
                let makes = ["CREATE", "UPDATE", "DELETE", "PURGE", "API.>"];
                assert!(!makes.iter().any(|it| subject.contains(it)), "{}: {subject}", user.name);
            }
        }
        let text = layout().server_config(&[]);
        assert!(!text.contains("allow_responses"));
        assert!(text.contains("accounts: [PUBLISH_DESK, PUBLISH_CRS]"), "{text}");
        let is_seed = |word: &str| 40 < word.len() && word.starts_with("SU");
        let mut words = text.split(|it: char| !it.is_ascii_alphanumeric());
        assert!(!words.any(is_seed), "seeds are in files of their own");
    }

    #[test]
    fn a_name_is_a_file_and_an_account() {
        for (name, wanted) in [
            ("desk", true),
            ("front-desk_2", true),
            ("Desk", false),
            ("2", false),
            ("a.b", false),
            ("", false),
        ] {
            assert_eq!(is_name(name), wanted, "{name}");
        }
    }
}
