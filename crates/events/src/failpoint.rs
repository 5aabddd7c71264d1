//! Places at which a process can be told to stumble, so that whoever checks Sapa hits what it aims at.
//!
//! Compiled only with the feature `faults`, as [`crate::planted`] is; without it every place is passed
//! with a constant *nothing*. `SAPA_FAIL` is a script of steps `<place>:<action>@<hit>` with commas
//! between them: a step counts how often its place is reached, and begins to count once the step before
//! it has acted. So one step can let work pile up and the next one strike in the middle of it. Actions
//! are `abort` and `sleep=<milliseconds>`. Refuses a script that it does not understand: a fault that
//! never comes would be taken for one that was survived.

use std::time::Duration;

/// What to do at a place: nothing, or wait so long. Where the script says so, the process ends here.
#[cfg(feature = "faults")]
#[must_use]
pub fn reached(place: &str) -> Option<Duration> {
    use std::sync::{Mutex, OnceLock};
    static SCRIPT: OnceLock<Mutex<script::Script>> = OnceLock::new();
    let script = SCRIPT.get_or_init(|| {
        let text = std::env::var("SAPA_FAIL").unwrap_or_default();
        Mutex::new(script::Script::parse(&text).expect("SAPA_FAIL has steps place:action@hit"))
    });
    let act = script.lock().expect("no holder of this lock can panic").reached(place);
    match act {
        Some(script::Act::Abort) => std::process::abort(),
        Some(script::Act::Sleep(pause)) => Some(pause),
        None => None,
    }
}

/// This build never stumbles.
#[cfg(not(feature = "faults"))]
#[must_use]
#[inline]
pub const fn reached(_: &str) -> Option<Duration> {
    None
}

#[cfg(any(test, feature = "faults"))]
mod script {
    use std::collections::VecDeque;
    use std::time::Duration;

    /// What happens at a place.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Act {
        /// The process ends at once, as after `kill -9`.
        Abort,
        /// Whoever came here waits; everything else goes on.
        Sleep(Duration),
    }

    #[derive(Debug)]
    struct Step {
        place: String,
        act: Act,
        hits: u32,
    }

    /// The steps that have not acted yet.
    #[derive(Debug, Default)]
    pub(super) struct Script(VecDeque<Step>);

    impl Script {
        /// Reads a script; an empty text is one without steps.
        pub(super) fn parse(text: &str) -> Option<Self> {
            let steps = text.split(',').filter(|it| !it.is_empty());
            steps.map(step).collect::<Option<_>>().map(Self)
        }

        /// A place is reached: what the step that counts now says about it.
        pub(super) fn reached(&mut self, place: &str) -> Option<Act> {
            let step = self.0.front_mut().filter(|it| it.place == place)?;
            step.hits = step.hits.saturating_sub(1);
            if 0 < step.hits {
                return None;
            }
            self.0.pop_front().map(|it| it.act)
        }
    }

    fn step(text: &str) -> Option<Step> {
        let (place, rest) = text.split_once(':')?;
        let (act, hits) = rest.split_once('@')?;
        let act = match act.split_once('=') {
            None if act == "abort" => Act::Abort,
            Some(("sleep", millis)) => Act::Sleep(Duration::from_millis(millis.parse().ok()?)),
            _ => return None,
        };
        Some(Step { place: place.to_owned(), act, hits: hits.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::script::{Act, Script};
    use super::*;

    #[test]
    fn a_step_counts_only_once_the_one_before_it_has_acted() {
        let mut script = Script::parse("a.b:sleep=30@2,a.c:abort@1").unwrap();
        let pause = Some(Act::Sleep(Duration::from_millis(30)));
        let acts = ["a.c", "a.b", "a.c", "a.b", "a.b", "a.c", "a.c"].map(|it| script.reached(it));
        assert_eq!(acts, [None, None, None, pause, None, Some(Act::Abort), None]);
    }

    #[test]
    fn a_script_that_is_not_understood_is_refused() {
        assert!(Script::parse("").is_some());
        for text in ["a.b", "a.b:abort", "a.b:explode@1", "a.b:sleep@1", "a.b:abort@often"] {
            assert!(Script::parse(text).is_none(), "{text}");
        }
    }
}
