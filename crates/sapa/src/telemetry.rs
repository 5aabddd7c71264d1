//! Log lines on standard error: text on a terminal, JSON otherwise. Nothing else sets up tracing.
//! It refuses a level that cannot be read, and never writes to standard output, which is for data.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::exit::Failure;

/// How much is said, as the flags of the command line count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loudness {
    /// `-q`: errors only.
    pub quiet: bool,
    /// `-v`: debug of our own crates; twice: of all.
    pub verbose: u8,
}

/// Starts telling. A second start in one process changes nothing.
pub fn start(level: &str, format: &str, color: bool, loud: Loudness) -> Result<(), Failure> {
    let filter = filter(level, loud)?;
    let is_terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let json = match format {
        "json" => true,
        "text" => false,
        _ => !is_terminal,
    };
    // It fails when a subscriber is there already, which is as good.
    let _ = if json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.with_ansi(color && is_terminal).with_target(false).try_init()
    };
    Ok(())
}

/// The directives of a level. Libraries only warn, unless directives say otherwise.
fn filter(level: &str, loud: Loudness) -> Result<EnvFilter, Failure> {
    let level = match loud {
        Loudness { quiet: true, .. } => "error",
        Loudness { verbose: 0, .. } => level,
        Loudness { verbose: 1, .. } => "debug",
        Loudness { .. } => "trace",
    };
    let is_word = ["off", "error", "warn", "info", "debug", "trace"].contains(&level);
    let directives = if is_word && loud.verbose < 2 {
        format!(
            "{level},sqlx=warn,async_nats=warn,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn"
        )
    } else {
        level.to_owned()
    };
    EnvFilter::try_new(&directives).map_err(|error| {
        Failure::config(
            format!("log.level cannot be read: {error}"),
            "Write error, warn, info, debug or trace, or directives such as info,store=debug.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_or_directives_are_read_and_nonsense_is_refused() {
        assert!(filter("info", Loudness::default()).is_ok());
        assert!(filter("info,store=debug", Loudness::default()).is_ok());
        let error = filter("info,store=loud", Loudness::default()).unwrap_err();
        assert_eq!(error.exit.number(), 78);
    }
}
