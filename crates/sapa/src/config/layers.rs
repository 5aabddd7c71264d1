//! The five layers and how they are laid over one another. Each value remembers its origin, so a
//! person can be told where to change it. Variables that begin with `SAPA_` and name nothing stop
//! the start; those of others count only where ours say nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::table::{FOREIGN, KEYS, Key, find};
use super::value::Setting;
use super::{ConfigError, Profile, file};
use crate::say;

/// Variables with a meaning of their own beside the table.
const BESIDE: &[&str] = &["SAPA_SERVER", "SAPA_KEY", "SAPA_KEY_FILE"];

/// Variables that belong to tests.
const PASSED_OVER: &[&str] = if cfg!(feature = "faults") {
    &["SAPA_TEST_", "SAPA_SEED", "SAPA_SOAK", "SAPA_FAIL", "SAPA_MUTANT"]
} else {
    &["SAPA_TEST_", "SAPA_SEED", "SAPA_SOAK"]
};

/// What a configuration is read from.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Key, value and the flag that set it.
    pub flags: Vec<(&'static str, String, &'static str)>,
    /// The environment.
    pub variables: BTreeMap<String, String>,
    /// `--config`; otherwise `./sapa.toml` is read if it is there.
    pub file: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process, under some flags.
    #[must_use]
    pub fn of_this_process(
        flags: Vec<(&'static str, String, &'static str)>,
        file: Option<PathBuf>,
    ) -> Self {
        // A variable that is not UTF-8 is none of ours.
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { flags, variables, file }
    }

    fn user_file(&self) -> Option<PathBuf> {
        let folder = |name: &str| self.variables.get(name).map(PathBuf::from);
        folder("XDG_CONFIG_HOME")
            .or_else(|| folder("HOME").map(|home| home.join(".config")))
            .filter(|it| it.is_absolute())
            .map(|it| it.join("sapa").join("config.toml"))
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The table.
    Default,
    /// A file.
    File {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// A variable.
    Variable(String),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str(&say!("default", "bawaan")),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) => f.write_str(&say!("environment {name}", "lingkungan {name}")),
            Self::Flag(name) => f.write_str(&say!("flag {name}", "opsi {name}")),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The value.
    pub setting: Setting,
    /// Where it came from.
    pub origin: Origin,
}

/// All values by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(BTreeMap<&'static str, Resolved>);

/// Lays the layers over one another, the weakest first.
pub(super) fn resolve(from: &Surroundings, profile: Profile) -> Result<Values, ConfigError> {
    let mut values = Values::default();
    for key in KEYS {
        let text = key.demo.filter(|_| profile == Profile::Demo).unwrap_or(key.default);
        let setting = if text.is_empty() { Ok(Setting::Nothing) } else { key.sort.read(text) };
        // A test reads every default.
        let setting = setting.unwrap_or(Setting::Nothing);
        values.0.insert(key.name, Resolved { setting, origin: Origin::Default });
    }
    for path in from.user_file().into_iter().chain([PathBuf::from("sapa.toml")]) {
        if from.file.is_none() || path.is_absolute() {
            values.lay(file::read(&path)?.unwrap_or_default());
        }
    }
    if let Some(path) = &from.file {
        let shown = path.display();
        let found = file::read(path)?.ok_or_else(|| ConfigError {
            place: "--config".to_owned(),
            fault: say!("{shown} is not there", "{shown} tidak ada"),
            remedy: say!(
                "name a file, or run `sapa config init` to write one",
                "sebutkan sebuah berkas, atau jalankan `sapa config init` untuk menulisnya"
            ),
        })?;
        values.lay(found);
    }
    values.lay(foreign(from)?);
    if profile == Profile::CommandLine {
        values.lay(terminal(from));
    }
    values.lay(ours(from)?);
    for (name, text, flag) in &from.flags {
        let Some(key) = find(name) else { continue };
        values.lay(vec![(key, read(key, text, Origin::Flag(flag))?)]);
    }
    Ok(values)
}

/// Variables of others.
fn foreign(from: &Surroundings) -> Result<Vec<(&'static Key, Resolved)>, ConfigError> {
    let mut found = Vec::new();
    for (variable, name) in FOREIGN {
        let text = from.variables.get(*variable).filter(|it| !it.is_empty());
        if let (Some(text), Some(key)) = (text, find(name)) {
            found.push((key, read(key, text, Origin::Variable((*variable).to_owned()))?));
        }
    }
    if let (Some(port), Some(key)) = (from.variables.get("PORT"), find("http.addr")) {
        let origin = Origin::Variable("PORT".to_owned());
        if port.parse::<u16>().is_err() {
            let remedy = say!(
                "write a number from 1 to 65535, or unset it",
                "tulis angka dari 1 sampai 65535, atau hapus variabelnya"
            );
            return Err(ConfigError {
                place: origin.to_string(),
                fault: say!("is not a port", "bukan port"),
                remedy,
            });
        }
        found.push((key, read(key, &format!("127.0.0.1:{port}"), origin)?));
    }
    Ok(found)
}

/// The language and zone of the terminal. What they hold beside ours is no fault.
fn terminal(from: &Surroundings) -> Vec<(&'static Key, Resolved)> {
    let language = ["LC_ALL", "LANG"].into_iter().find_map(|name| {
        let tag = from.variables.get(name).filter(|it| !it.is_empty())?.replace('_', "-");
        let language = events::problem::Language::first_of(&tag)?;
        Some(("lang", name, language.tag().to_owned()))
    });
    let zone = from.variables.get("TZ").map(|it| it.trim_start_matches(':'));
    let zone = zone.filter(|it| jiff::tz::TimeZone::get(it).is_ok());
    let zone = zone.map(|it| ("time_zone", "TZ", it.to_owned()));
    let found = language.into_iter().chain(zone).filter_map(|(name, variable, text)| {
        let origin = Origin::Variable(variable.to_owned());
        Some((find(name)?, Resolved { setting: Setting::Text(text), origin }))
    });
    found.collect()
}

/// Variables that begin with `SAPA_`.
fn ours(from: &Surroundings) -> Result<Vec<(&'static Key, Resolved)>, ConfigError> {
    let mut found: Vec<(&'static Key, Resolved)> = Vec::new();
    for (variable, text) in from.variables.iter().filter(|(name, _)| name.starts_with("SAPA_")) {
        let is_beside = BESIDE.contains(&variable.as_str())
            || PASSED_OVER.iter().any(|it| variable.starts_with(it));
        if is_beside {
            continue;
        }
        let origin = Origin::Variable(variable.clone());
        if let Some(key) = KEYS.iter().find(|it| it.variable() == *variable) {
            found.push((key, read(key, text, origin)?));
            continue;
        }
        let of_file = |it: &&Key| it.secret && format!("{}_FILE", it.variable()) == *variable;
        let Some(key) = KEYS.iter().find(of_file) else {
            let names: Vec<String> = KEYS.iter().map(Key::variable).collect();
            let what = say!("variable", "variabel");
            let (fault, remedy) = unknown(&what, variable, names.iter().map(String::as_str));
            return Err(ConfigError { place: origin.to_string(), fault, remedy });
        };
        let other = key.variable();
        if from.variables.contains_key(&other) {
            return Err(ConfigError {
                place: origin.to_string(),
                fault: say!("{other} is set as well", "{other} juga diisi"),
                remedy: say!("set one of the two", "isi salah satu saja"),
            });
        }
        let secret = std::fs::read_to_string(text).map_err(|error| ConfigError {
            place: origin.to_string(),
            fault: say!("{text} cannot be read ({error})", "{text} tidak dapat dibaca ({error})"),
            remedy: say!(
                "name a file that this user may read",
                "sebutkan berkas yang boleh dibaca pengguna ini"
            ),
        })?;
        found.push((key, read(key, secret.trim_end_matches(['\r', '\n']), origin)?));
    }
    Ok(found)
}

fn read(key: &'static Key, text: &str, origin: Origin) -> Result<Resolved, ConfigError> {
    match key.sort.read(text) {
        Ok(setting) => Ok(Resolved { setting, origin }),
        Err((fault, remedy)) => {
            let fault = format!("`{}` {fault}", key.name);
            Err(ConfigError { place: origin.to_string(), fault, remedy })
        }
    }
}

/// What is said about a name that is not in the table.
pub(super) fn unknown<'k>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> (String, String) {
    match events::policy::closest(name, known) {
        Some(near) => (
            say!(
                "unknown {what} `{name}`; did you mean `{near}`?",
                "{what} `{name}` tidak dikenal; maksud Anda `{near}`?"
            ),
            say!("write `{near}`, or remove it", "tulis `{near}`, atau hapus"),
        ),
        None => (
            say!("unknown {what} `{name}`", "{what} `{name}` tidak dikenal"),
            say!("remove it", "hapus"),
        ),
    }
}

impl Values {
    fn lay(&mut self, layer: Vec<(&'static Key, Resolved)>) {
        for (key, value) in layer {
            self.0.insert(key.name, value);
        }
    }

    pub(super) fn of(&self, name: &str) -> Option<&Resolved> {
        self.0.get(name)
    }

    fn setting(&self, name: &str) -> &Setting {
        self.of(name).map_or(&Setting::Nothing, |it| &it.setting)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.setting(name) {
            Setting::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.optional_flag(name).unwrap_or_default()
    }

    pub(super) fn optional_flag(&self, name: &str) -> Option<bool> {
        match self.setting(name) {
            Setting::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    pub(super) fn count(&self, name: &str) -> u64 {
        match self.setting(name) {
            Setting::Count(number) => *number,
            _ => 0,
        }
    }

    pub(super) fn size(&self, name: &str) -> usize {
        usize::try_from(self.count(name)).unwrap_or(usize::MAX)
    }

    pub(super) fn duration(&self, name: &str) -> Duration {
        self.optional_duration(name).unwrap_or_default()
    }

    pub(super) fn optional_duration(&self, name: &str) -> Option<Duration> {
        match self.setting(name) {
            Setting::Duration(it) => Some(*it),
            _ => None,
        }
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        match self.setting(name) {
            Setting::Texts(items) => items.clone(),
            _ => Vec::new(),
        }
    }

    /// A text that has to parse further than its sort says.
    pub(super) fn parsed<T: FromStr>(&self, name: &str, remedy: String) -> Result<T, ConfigError> {
        let text = self.text(name).unwrap_or_default();
        text.parse().map_err(|_| {
            self.wrong(
                name,
                say!("is `{text}`, which is not valid", "berisi `{text}`, yang tidak sah"),
                remedy,
            )
        })
    }

    pub(super) fn wrong(
        &self,
        name: &str,
        fault: impl std::fmt::Display,
        remedy: impl Into<String>,
    ) -> ConfigError {
        ConfigError {
            place: self.of(name).map_or_else(String::new, |it| it.origin.to_string()),
            fault: format!("`{name}` {fault}"),
            remedy: remedy.into(),
        }
    }
}
