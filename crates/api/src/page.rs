//! Cursors: where a list goes on, opaque and authenticated.
//!
//! A cursor carries the place, and a MAC over tenant, list, filters and the identity of the log. One
//! that was changed, or that belongs to another list, is refused as `cursor_invalid`; none expires,
//! and any instance reads what another one gave out.

use data_encoding::BASE64URL_NOPAD;
use events::problem::{Code, Problem};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;
use store::tenants::Profile;

/// Bytes of the MAC that are kept: 128 bits.
const MAC_BYTES: usize = 16;

/// What a cursor is bound to.
#[derive(Clone, Debug)]
pub struct List {
    key: Vec<u8>,
    bound_to: String,
}

impl List {
    /// A list of a tenant: which operation, with which filters, over which log.
    ///
    /// Parameters that may change from page to page (`limit`, `cursor`, `at_least`, `wait`, `lang`, `tz`,
    /// `after`) do not bind.
    #[must_use]
    pub fn new(tenant: &Profile, operation: &str, filters: &Map<String, Value>, log: &str) -> Self {
        const FREE: [&str; 7] = ["limit", "cursor", "at_least", "wait", "lang", "tz", "after"];
        let mut bound_to = format!("{}\n{operation}\n{log}\n", tenant.tenant);
        for (name, value) in filters.iter().filter(|(name, _)| !FREE.contains(&name.as_str())) {
            bound_to.push_str(name);
            bound_to.push('=');
            match value {
                Value::String(text) => bound_to.push_str(&Value::from(text.as_str()).to_string()),
                // A number over request-reply is the same filter as its text over HTTP.
                other => bound_to.push_str(&Value::from(other.to_string()).to_string()),
            }
            bound_to.push('\n');
        }
        Self { key: tenant.fingerprint_key.clone(), bound_to }
    }

    /// The cursor of a place.
    #[must_use]
    pub fn cursor(&self, place: &str) -> String {
        let mut bytes = self.mac(place);
        bytes.extend_from_slice(place.as_bytes());
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// The place of a cursor that this list gave out.
    pub fn place(&self, cursor: &str) -> Result<String, Box<Problem>> {
        let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).map_err(|_| invalid())?;
        let (mac, place) = bytes.split_at_checked(MAC_BYTES).ok_or_else(invalid)?;
        let place = std::str::from_utf8(place).map_err(|_| invalid())?;
        let wanted = self.mac(place);
        let differs = wanted.iter().zip(mac).fold(0, |all, (left, right)| all | (left ^ right));
        if differs == 0 { Ok(place.to_owned()) } else { Err(invalid()) }
    }

    fn mac(&self, place: &str) -> Vec<u8> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        // The words in front keep this use of the tenant's key apart from its fingerprints.
        mac.update(b"sapa cursor 1\n");
        mac.update(self.bound_to.as_bytes());
        mac.update(place.as_bytes());
        let mut bytes = mac.finalize().into_bytes().to_vec();
        bytes.truncate(MAC_BYTES);
        bytes
    }
}

fn invalid() -> Box<Problem> {
    Box::new(
        Problem::new(
            Code::CursorInvalid,
            "This cursor was not given out for this list with these filters.",
            "Kursor ini tidak diberikan untuk daftar ini dengan penyaring ini.",
        )
        .hint(
            "Ask for the first page again, without `cursor`.",
            "Minta halaman pertama lagi, tanpa `cursor`.",
        ),
    )
}

#[cfg(test)]
mod tests {
    use events::problem::Language;
    use serde_json::json;

    use super::*;

    fn list(tenant: &str, operation: &str, filters: &Value, log: &str) -> List {
        let profile = Profile {
            tenant: tenant.parse().unwrap(),
            name: String::new(),
            zone: "Asia/Jakarta".to_owned(),
            language: Language::En,
            fingerprint_key: vec![7; 32],
        };
        List::new(&profile, operation, filters.as_object().unwrap(), log)
    }

    #[test]
    fn a_cursor_is_read_by_the_list_that_gave_it_out() {
        let filters = json!({"topic": "booking", "limit": 10});
        let cursor = list("main", "events.list", &filters, "log").cursor("48211");
        let again = json!({"topic": "booking", "limit": "500", "cursor": cursor});
        assert_eq!(list("main", "events.list", &again, "log").place(&cursor).unwrap(), "48211");
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let filters = json!({"topic": "booking"});
        let cursor = list("main", "events.list", &filters, "log").cursor("48211");
        for other in [
            list("other", "events.list", &filters, "log"),
            list("main", "alerts.list", &filters, "log"),
            list("main", "events.list", &json!({"topic": "alert"}), "log"),
            list("main", "events.list", &filters, "another log"),
        ] {
            assert_eq!(other.place(&cursor).unwrap_err().code, Code::CursorInvalid);
        }
    }

    #[test]
    fn a_changed_cursor_is_refused_whichever_letter_was_changed() {
        let list = list("main", "events.list", &json!({}), "log");
        let cursor = list.cursor("1");
        for at in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(changed == cursor || list.place(&changed).is_err(), "{at}");
        }
        for wrong in ["", "A", "not base64!", "AAAA"] {
            assert!(list.place(wrong).is_err());
        }
    }

    #[test]
    fn a_number_and_its_text_are_the_same_filter() {
        let cursor = list("main", "visits.list", &json!({"score_max": "3"}), "log").cursor("9");
        assert!(
            list("main", "visits.list", &json!({"score_max": 3}), "log").place(&cursor).is_ok()
        );
    }
}
