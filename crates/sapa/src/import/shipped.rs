//! The maps that come with the program: files that a user lists, prints, copies and changes.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShippedMap {
    /// What `--map` takes.
    pub name: &'static str,
    /// The map itself.
    pub text: &'static str,
}

impl ShippedMap {
    /// What it is for: its first line.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches(['#', ' '])
    }
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(ShippedMap { name: $name, text: include_str!(concat!("../../maps/", $name, ".toml")) }),*]
    };
}

/// All of them.
pub const SHIPPED: &[ShippedMap] =
    shipped!("hotel", "cdnow", "spreadsheet_id", "asterisk", "whatsapp", "calendar");

/// The one of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static ShippedMap> {
    SHIPPED.iter().find(|map| map.name == name)
}
