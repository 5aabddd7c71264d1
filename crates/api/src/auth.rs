//! Who asks: API keys, what they prove, and how long that is believed.
//!
//! A key is `sapa_live_<8 id>_<43 base64url>`; only a SHA-256 of the secret is stored and compared,
//! in constant time. One code for every failure: a caller without a valid key learns nothing more.
//! What was read is believed for [`BELIEVED_FOR`], so a revoked key stops working within that time
//! on every instance, and at once on the one that revoked it.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use data_encoding::BASE64URL_NOPAD;
use events::id::{Actor, Ident, Source, Tenant};
use events::mint::Ids;
use events::problem::{Code, Problem};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use store::Db;
use store::error::ReadError;
use store::keys::{self, ApiKey};

use crate::scope::Scopes;

/// How long a key that was read is believed to be as it was.
pub const BELIEVED_FOR: SignedDuration = SignedDuration::from_secs(20);
/// Keys remembered at once; more than one process serves.
const REMEMBERED_MAX: usize = 4_096;
/// Characters of the id in a key.
const ID_CHARS: usize = 8;
/// Characters of the secret in a key: 32 bytes in base64url.
const SECRET_CHARS: usize = 43;

/// A key as it is written, cut into its parts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyText<'a> {
    /// The part it is looked up by.
    pub id: &'a str,
    secret: &'a str,
}

impl std::fmt::Debug for KeyText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyText({}_***)", self.id)
    }
}

impl<'a> KeyText<'a> {
    /// Reads a key; anything that does not have its form is none.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("sapa_live_").or_else(|| text.strip_prefix("sapa_test_"))?;
        let (id, secret) = rest.split_at_checked(ID_CHARS)?;
        let secret = secret.strip_prefix('_')?;
        let plain = id.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
        let coded = secret.len() == SECRET_CHARS
            && secret.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'));
        (plain && coded).then_some(Self { id, secret })
    }

    /// SHA-256 of the secret: what is stored.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.as_bytes()).into()
    }
}

/// A new key: its text, which nobody can read again, its id and its hash.
#[derive(Clone)]
pub struct NewKey {
    /// What the holder is given, once.
    pub text: String,
    /// The part it is looked up by.
    pub key_id: String,
    /// What is stored.
    pub hash: Vec<u8>,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewKey({})", self.key_id)
    }
}

impl NewKey {
    /// Makes a key; `live` is false in a demo, so that scanners and people can tell them apart.
    #[must_use]
    pub fn make(ids: &dyn Ids, live: bool) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mode = if live { "live" } else { "test" };
        let letter = |it: &u8| ALPHABET.get(usize::from(it % 32)).map_or('a', |it| char::from(*it));
        let key_id: String = secret_bytes(ids).iter().take(ID_CHARS).map(letter).collect();
        let text = format!("sapa_{mode}_{key_id}_{}", BASE64URL_NOPAD.encode(&secret_bytes(ids)));
        let hash = KeyText::parse(&text).map(|it| it.hash().to_vec()).unwrap_or_default();
        Self { text, key_id, hash }
    }
}

/// 32 bytes nobody can guess: eight new ids, each with more than 60 random bits, hashed together.
#[must_use]
pub fn secret_bytes(ids: &dyn Ids) -> [u8; 32] {
    let mut hash = Sha256::new();
    for _ in 0..8 {
        hash.update(ids.new_id().as_bytes());
    }
    hash.finalize().into()
}

/// What a valid key proves.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Its id.
    pub key_id: String,
    /// Whose data it opens.
    pub tenant: Tenant,
    /// What it allows.
    pub scopes: Scopes,
    /// The sources it may send as; `None` means any.
    pub sources: Option<Arc<[Source]>>,
    /// The venues whose own system it is.
    pub venues: Arc<[Ident]>,
    /// It makes no customers.
    pub refuses_unknown_customers: bool,
    /// Whom it acts for when a request does not say.
    pub actor: Option<Actor>,
    hash: Vec<u8>,
    expires_at: Option<Timestamp>,
    revoked: bool,
}

impl From<ApiKey> for Grant {
    fn from(it: ApiKey) -> Self {
        Self {
            key_id: it.key_id,
            tenant: it.tenant,
            scopes: Scopes::from_words(it.scopes.iter().map(String::as_str)),
            sources: (!it.sources.is_empty()).then(|| it.sources.into()),
            venues: it.venues.into(),
            refuses_unknown_customers: it.refuses_unknown_customers,
            actor: it.actor,
            hash: it.hash,
            expires_at: it.expires_at,
            revoked: it.revoked_at.is_some(),
        }
    }
}

impl Grant {
    fn holds(&self, now: Timestamp) -> bool {
        !self.revoked && self.expires_at.is_none_or(|end| now < end)
    }
}

#[derive(Debug)]
struct Remembered {
    grant: Arc<Grant>,
    read_at: Timestamp,
}

/// The keys that were used lately.
#[derive(Debug, Default)]
pub struct Keys(RwLock<HashMap<String, Remembered>>);

impl Keys {
    /// What a key proves now, or the one refusal there is.
    pub async fn grant(
        &self,
        db: &Db,
        text: &str,
        now: Timestamp,
    ) -> Result<Arc<Grant>, Box<Problem>> {
        let key = KeyText::parse(text).ok_or_else(token_invalid)?;
        let grant = self.find(db, key.id, now).await?.ok_or_else(token_invalid)?;
        let known = same(&grant.hash, &key.hash());
        if known && grant.holds(now) { Ok(grant) } else { Err(token_invalid()) }
    }

    /// Whether a key that was valid still is; an unreachable database leaves it as it was.
    pub async fn still_holds(&self, db: &Db, key_id: &str, now: Timestamp) -> bool {
        match self.find(db, key_id, now).await {
            Ok(grant) => grant.is_some_and(|it| it.holds(now)),
            Err(_) => true,
        }
    }

    /// Forgets what was read, so that the next use reads it again.
    pub fn forget(&self, key_id: &str) {
        if let Ok(mut remembered) = self.0.write() {
            remembered.remove(key_id);
        }
    }

    async fn find(
        &self,
        db: &Db,
        key_id: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<Grant>>, Box<Problem>> {
        let earlier = self.remembered(key_id);
        if let Some((grant, read_at)) = &earlier
            && now.duration_since(*read_at) < BELIEVED_FOR
        {
            return Ok(Some(Arc::clone(grant)));
        }
        match keys::get(db, key_id).await {
            Ok(Some(key)) => {
                let grant = Arc::new(Grant::from(key));
                self.remember(key_id, &grant, now);
                Ok(Some(grant))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(crate::answer::unread(&error)),
        }
    }

    fn remembered(&self, key_id: &str) -> Option<(Arc<Grant>, Timestamp)> {
        let remembered = self.0.read().ok()?;
        remembered.get(key_id).map(|it| (Arc::clone(&it.grant), it.read_at))
    }

    fn remember(&self, key_id: &str, grant: &Arc<Grant>, now: Timestamp) {
        if let Ok(mut remembered) = self.0.write() {
            if REMEMBERED_MAX <= remembered.len() {
                remembered.clear();
            }
            let it = Remembered { grant: Arc::clone(grant), read_at: now };
            remembered.insert(key_id.to_owned(), it);
        }
    }

    /// Whether there is any key at all.
    pub async fn any(db: &Db) -> Result<bool, ReadError> {
        keys::any(db).await
    }
}

/// Compares all bytes, however early they differ.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |all, (left, right)| all | (left ^ right)) == 0
}

/// The one answer to a key that does not open anything (bad input B56).
#[must_use]
pub fn token_invalid() -> Box<Problem> {
    Box::new(
        Problem::new(
            Code::TokenInvalid,
            "There is no valid key in this request.",
            "Tidak ada kunci yang sah dalam permintaan ini.",
        )
        .hint(
            "Send `Authorization: Bearer <key>`; make a key with `sapa key create`.",
            "Kirim `Authorization: Bearer <kunci>`; buat kunci dengan `sapa key create`.",
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Counting(AtomicU64);

    impl Ids for Counting {
        fn new_id(&self) -> uuid::Uuid {
            uuid::Uuid::from_u64_pair(7, self.0.fetch_add(1, Ordering::Relaxed))
        }
    }

    #[test]
    fn a_key_that_was_made_is_read_and_has_the_hash_that_was_stored() {
        let ids = Counting::default();
        for live in [true, false] {
            let key = NewKey::make(&ids, live);
            let read = KeyText::parse(&key.text).unwrap();
            assert_eq!((read.id, read.hash().to_vec()), (key.key_id.as_str(), key.hash));
        }
        assert_ne!(NewKey::make(&ids, true).text, NewKey::make(&ids, true).text);
    }

    #[test]
    fn what_does_not_have_the_form_of_a_key_is_none() {
        let secret = "A".repeat(SECRET_CHARS);
        assert!(KeyText::parse(&format!("sapa_live_ab12cd34_{secret}")).is_some());
        for wrong in [
            String::new(),
            secret.clone(),
            format!("sapa_live_ab12cd34_{secret}A"),
            format!("sapa_live_ab12cd3_{secret}"),
            format!("sapa_live_AB12cd34_{secret}"),
            format!("sapa_prod_ab12cd34_{secret}"),
            format!("sapa_live_ab12cd3é_{secret}"),
        ] {
            assert_eq!(KeyText::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let key = NewKey::make(&Counting::default(), true);
        let secret = key.text.rsplit_once('_').unwrap().1;
        assert!(!format!("{key:?} {:?}", KeyText::parse(&key.text)).contains(secret));
    }

    #[test]
    fn hashes_are_compared_to_their_end() {
        assert!(same(b"abc", b"abc"));
        assert!(!same(b"abc", b"abd") && !same(b"abc", b"ab"));
    }
}
