//! Cursors: where a list goes on, opaque and authenticated.
//!
//! A cursor carries the place, and a MAC over tenant, list, filters and the identity of the log. One
//! that was changed, or that belongs to another list, is refused as `cursor_invalid`; none expires,
//! and any instance reads what another one gave out.
//!
//! Where the order of a list can change, the cursor also carries the moment of the first page, and
//! every page is read in the order of then.
//!
//! A list is walked both ways from a place: a mark before it says that the way is back. What lies
//! on the side that was not walked is told by one row more, never by a count.

use data_encoding::BASE64URL_NOPAD;
use events::problem::{Code, Problem};
use hmac::{Hmac, KeyInit, Mac};
use projections::earlier::Moment;
use projections::listing::{Place, Window};
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

    /// Which page a caller asks for: the one behind a cursor, or else the first.
    pub fn walk(&self, cursor: Option<&str>, limit: usize) -> Result<Walk<'_>, Box<Problem>> {
        let Some(cursor) = cursor else {
            let began = String::new();
            return Ok(Walk { list: self, back: false, place: None, is_first: true, limit, began });
        };
        let place = self.place(cursor)?;
        let (back, place) = match place.strip_prefix(BACK) {
            Some(place) => (true, place.to_owned()),
            None => (false, place),
        };
        let is_first = place.is_empty();
        let place = Some(place).filter(|it| !it.is_empty());
        Ok(Walk { list: self, back, place, is_first, limit, began: String::new() })
    }

    /// The same of a list whose order can change while somebody reads it: the cursor holds the moment
    /// of the first page, and the page is read in the order of then.
    pub fn window(
        &self,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<(Walk<'_>, Window), Box<Problem>> {
        let mut walk = self.walk(cursor, limit)?;
        let mut window = Window { back: walk.back, rows: walk.rows(), ..Window::default() };
        if let Some(text) = walk.place.take() {
            let (began, place) = text.split_once(BEGAN).ok_or_else(invalid)?;
            window.began = Some(serde_json::from_str(began).map_err(|_| invalid())?);
            walk.began = format!("{began}{BEGAN}");
            walk.is_first = place.is_empty();
            if !walk.is_first {
                window.after = Some(serde_json::from_str(place).map_err(|_| invalid())?);
            }
        }
        Ok((walk, window))
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

/// Before a place: the way from it is back.
const BACK: char = '<';

/// The two ways on from a page; `None` where nothing lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursors {
    /// The page behind.
    pub next: Option<String>,
    /// The page before.
    pub prev: Option<String>,
}

/// One page of a list to be read.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    list: &'a List,
    back: bool,
    place: Option<String>,
    /// It begins at an end of the list.
    is_first: bool,
    limit: usize,
    /// For a list whose order can change: the moment of its first page, before each place.
    began: String,
}

/// Between the moment of the first page and a place.
const BEGAN: char = '|';

/// What is known of both sides of a page.
#[derive(Clone, Debug)]
pub struct Sides {
    first: Option<String>,
    last: Option<String>,
    has_next: Option<bool>,
    has_prev: Option<bool>,
}

impl Walk<'_> {
    /// Says at which moment the first page was read, unless the cursor said so.
    pub fn begin(&mut self, moment: Moment) {
        if self.began.is_empty() {
            self.began = format!("{}{BEGAN}", crate::answer::json(&moment));
        }
    }

    /// One page of a list whose order can change, and what is known of both its sides.
    #[must_use]
    pub fn ordered<T>(&self, found: Vec<(Place, T)>) -> (Vec<T>, Sides, Ends) {
        let (found, sides) = self.page(found, |(place, _)| crate::answer::json(place));
        let place = |it: Option<&(Place, T)>| it.map(|(place, _)| place.clone());
        let ends = Ends { first: place(found.first()), last: place(found.last()) };
        (found.into_iter().map(|(_, it)| it).collect(), sides, ends)
    }

    /// Whether it is read towards the beginning.
    #[must_use]
    pub fn is_back(&self) -> bool {
        self.back
    }

    /// The place to read from; `None` for the end of the list at which the way begins.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// One row more than the page has, to know whether another follows.
    #[must_use]
    pub fn rows(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX - 1) + 1
    }

    /// The page out of the rows that were found, the nearest first: in the order of the list.
    pub fn page<T>(&self, mut found: Vec<T>, place: impl Fn(&T) -> String) -> (Vec<T>, Sides) {
        let more = self.limit < found.len();
        found.truncate(self.limit);
        if self.back {
            found.reverse();
        }
        // Where the way began at an end, nothing lies behind its beginning.
        let other = self.is_first.then_some(false);
        let (has_next, has_prev) =
            if self.back { (other, Some(more)) } else { (Some(more), other) };
        let sides = Sides {
            first: found.first().map(&place),
            last: found.last().map(&place),
            has_next,
            has_prev,
        };
        (found, sides)
    }

    /// The cursors of a page.
    #[must_use]
    pub fn cursors(&self, sides: &Sides) -> Cursors {
        let next = || self.on_from(sides.last.as_deref().unwrap_or_default());
        let prev = || self.back_from(sides.first.as_deref().unwrap_or_default());
        Cursors {
            next: sides.has_next.unwrap_or_default().then(next),
            prev: sides.has_prev.unwrap_or_default().then(prev),
        }
    }

    /// The cursor of the page that ends before a place.
    #[must_use]
    pub fn back_from(&self, place: &str) -> String {
        self.list.cursor(&format!("{BACK}{}{place}", self.began))
    }

    /// The cursor of the page that begins behind a place.
    #[must_use]
    pub fn on_from(&self, place: &str) -> String {
        self.list.cursor(&format!("{}{place}", self.began))
    }
}

/// The places at both ends of a page.
#[derive(Clone, Debug)]
pub struct Ends {
    first: Option<Place>,
    last: Option<Place>,
}

impl Ends {
    /// Where to look for one more row on the side that was not walked, if that has to be known.
    #[must_use]
    pub fn other(self, sides: &Sides, window: &Window) -> Option<Window> {
        let (back, _) = sides.unknown()?;
        let after = if back { self.first } else { self.last };
        Some(Window { after, back, rows: 1, ..*window })
    }
}

impl Sides {
    /// The side that was not walked, if a row has to be looked for there: whether it lies back, and
    /// from which place; from the other end where the page is empty.
    #[must_use]
    pub fn unknown(&self) -> Option<(bool, Option<&str>)> {
        if self.has_prev.is_none() {
            return Some((true, self.first.as_deref()));
        }
        self.has_next.is_none().then_some((false, self.last.as_deref()))
    }

    /// Says whether a row was found there.
    pub fn tell(&mut self, is_found: bool) {
        self.has_prev = self.has_prev.or_else(|| self.has_next.and(Some(is_found)));
        self.has_next = self.has_next.or(Some(is_found));
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

    /// A page of the numbers below twenty.
    fn numbers(list: &List, cursor: Option<&str>, limit: usize) -> (Vec<i64>, Cursors) {
        let walk = list.walk(cursor, limit).unwrap();
        let read = |back: bool, place: Option<&str>, rows: i64| -> Vec<i64> {
            let place: Option<i64> = place.map(|it| it.parse().unwrap());
            let rows = usize::try_from(rows).unwrap();
            if back {
                (0..place.unwrap_or(20)).rev().take(rows).collect()
            } else {
                (place.map_or(0, |it| it + 1)..20).take(rows).collect()
            }
        };
        let found = read(walk.is_back(), walk.place(), walk.rows());
        let (found, mut sides) = walk.page(found, ToString::to_string);
        if let Some((back, place)) = sides.unknown() {
            let is_found = !read(back, place, 1).is_empty();
            sides.tell(is_found);
        }
        assert_eq!(sides.unknown(), None);
        let cursors = walk.cursors(&sides);
        (found, cursors)
    }

    #[test]
    fn walking_back_gives_the_same_pages_and_null_at_the_ends() {
        let list = list("main", "events.list", &json!({}), "log");
        for limit in [1, 3, 7, 19, 20, 21] {
            let (mut cursor, mut on) = (None, Vec::new());
            loop {
                let (found, cursors) = numbers(&list, cursor.as_deref(), limit);
                assert_eq!(cursors.prev.is_none(), on.is_empty());
                on.extend(found);
                if cursors.next.is_none() {
                    cursor = cursors.prev;
                    break;
                }
                cursor = cursors.next;
            }
            assert_eq!(on, (0..20).collect::<Vec<_>>());
            let mut back = on
                .split_off(on.len() - if on.len() % limit == 0 { limit } else { on.len() % limit });
            while let Some(it) = cursor {
                let (found, cursors) = numbers(&list, Some(&it), limit);
                assert!(cursors.next.is_some());
                back.splice(0..0, found);
                cursor = cursors.prev;
            }
            assert_eq!(back, (0..20).collect::<Vec<_>>(), "pages of {limit}");
        }
    }

    #[test]
    fn from_an_empty_page_the_way_leads_to_the_end_it_lies_at() {
        let list = list("main", "events.list", &json!({}), "log");
        let (found, cursors) = numbers(&list, Some(&list.cursor("19")), 5);
        assert_eq!((found.len(), cursors.next), (0, None));
        let (found, cursors) = numbers(&list, cursors.prev.as_deref(), 5);
        assert_eq!((found, cursors.next), (vec![15, 16, 17, 18, 19], None));
        let (found, cursors) = numbers(&list, Some(&list.cursor("<0")), 5);
        assert_eq!((found.len(), cursors.prev), (0, None));
        let (found, cursors) = numbers(&list, cursors.next.as_deref(), 5);
        assert_eq!((found, cursors.prev), (vec![0, 1, 2, 3, 4], None));
    }

    #[test]
    fn a_number_and_its_text_are_the_same_filter() {
        let cursor = list("main", "visits.list", &json!({"score_max": "3"}), "log").cursor("9");
        assert!(
            list("main", "visits.list", &json!({"score_max": 3}), "log").place(&cursor).is_ok()
        );
    }
}
