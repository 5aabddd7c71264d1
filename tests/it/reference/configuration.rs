//! `configuration.md`, from the table of keys.

use std::fmt::Write as _;

use sapa::config::{FOREIGN, KEYS, Key, Sort};

use super::{cell, heading};

const PREFACE: &str = "\
A value is taken from the first of these that has one: a flag, a variable of the environment, \
`./sapa.toml` (or the file of `--config`), `$XDG_CONFIG_HOME/sapa/config.toml`, the default. \
`sapa config init` writes a file with every key, `sapa config check` judges one as `serve` would, and \
`sapa config show --origin` says where each value is from.

The key `http.addr` is the variable `SAPA_HTTP__ADDR`: upper case, with `__` for the dot. A secret may \
stand in a file of its own: `SAPA_NATS__TOKEN_FILE=/run/secrets/token`. An unknown key or variable stops \
the start and names the one that was probably meant. A key marked *not built* stops the start when it is set.

";

pub fn render() -> String {
    let mut text = heading("Configuration", "`crates/sapa/src/config/table.rs`") + PREFACE;
    text.push_str("| Key | Takes | Default | Meaning |\n|---|---|---|---|\n");
    for key in KEYS {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {}{} |",
            key.name,
            cell(&takes(key)),
            default(key),
            cell(key.meaning),
            if key.later.is_some() { "; *not built*" } else { "" }
        );
    }
    text.push_str(
        "\n## Variables of other programs\n\nThey count where ours is not set.\n\n\
         | Variable | Stands for |\n|---|---|\n",
    );
    for (variable, key) in FOREIGN {
        let _ = writeln!(text, "| `{variable}` | `{key}` |");
    }
    text.push_str(
        "\nThe command line also reads `SAPA_SERVER`, `SAPA_KEY` and `SAPA_KEY_FILE`, and `LC_ALL`, \
         `LANG`, `TZ` and `NO_COLOR` as other programs do.\n",
    );
    text
}

fn takes(key: &Key) -> String {
    let words =
        |words: &[&str]| words.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
    let kind = match key.sort {
        Sort::Text => "text".to_owned(),
        Sort::Path => "path".to_owned(),
        Sort::OneOf(all) => words(all),
        Sort::Flag => "`true`, `false`".to_owned(),
        Sort::Count(min, max) => format!("{min} to {max}"),
        Sort::Duration => "duration: `500ms`, `10s`, `5m`, `2h`, `7d`".to_owned(),
        Sort::Bytes => "bytes: `65536`, `512MiB`, `8GiB`".to_owned(),
        Sort::Texts => "texts, separated by commas".to_owned(),
        Sort::Words(all) => format!("some of {}", words(all)),
        Sort::Scopes => "[scopes](operations.md#scopes), separated by commas".to_owned(),
    };
    if key.secret { format!("{kind}; secret") } else { kind }
}

fn default(key: &Key) -> String {
    let plain =
        if key.default.is_empty() { "–".to_owned() } else { format!("`{}`", key.default) };
    key.demo.map_or(plain.clone(), |it| format!("{plain} (demo: `{it}`)"))
}
