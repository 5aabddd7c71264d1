//! A short memory: the newest few of many, and whether any were forgotten.
//!
//! What a fold keeps of one customer is written with every page of facts, so it has to stay small
//! for somebody with ten thousand of them. Whoever asks for what was forgotten is told that it
//! cannot be known, never that it was not there.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Values by name, the oldest first; beyond the limit the oldest goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recent<T> {
    items: VecDeque<(Box<str>, T)>,
    forgot: bool,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), forgot: false }
    }
}

impl<T> Recent<T> {
    /// The value of a name, if it is still remembered.
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.items.iter().find(|(it, _)| **it == *name).map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.items.iter_mut().find(|(it, _)| **it == *name).map(|(_, value)| value)
    }

    /// Remembers a value in place of the one before; of more than `max` the oldest is forgotten.
    pub(crate) fn put(&mut self, name: &str, value: T, max: usize) {
        if let Some(old) = self.get_mut(name) {
            *old = value;
            return;
        }
        self.items.push_back((name.into(), value));
        if max < self.items.len() {
            self.items.pop_front();
            self.forgot = true;
        }
    }

    /// Strikes a name from the memory, on purpose.
    pub(crate) fn remove(&mut self, name: &str) {
        self.items.retain(|(it, _)| **it != *name);
    }

    /// Whether a name was certainly never put.
    pub(crate) fn never_had(&self, name: &str) -> bool {
        !self.forgot && self.get(name).is_none()
    }

    /// Everything remembered, the oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &T)> {
        self.items.iter().map(|(name, value)| (&**name, value))
    }

    /// Every value, to be changed.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut().map(|(_, value)| value)
    }

    /// Whether nothing is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_forgotten_is_not_called_unknown() {
        let mut it = Recent::default();
        assert!(it.never_had("a"));
        for name in ["a", "b", "c"] {
            it.put(name, 1, 2);
        }
        assert!(it.get("a").is_none());
        assert!(!it.never_had("a") && !it.never_had("z"));
        it.remove("b");
        assert_eq!(it.iter().collect::<Vec<_>>(), [("c", &1)]);
    }
}
