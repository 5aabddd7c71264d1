//! What the story promises, checked on its own bytes.
