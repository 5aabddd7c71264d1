//! What the first start makes: the default tenant with the key of its fingerprints, and one admin
//! key in a file of mode 0600. A later start changes neither.

use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use events::time::Clock;
use sha2::{Digest, Sha256};
use store::Db;
use store::keys::{self, ApiKey};
use store::tenants::{self, Profile};

use super::private_file;
use crate::clock::{random, secret};
use crate::config::Config;
use crate::exit::Failure;

/// Letters of a key's id.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Adds the configured tenant if there is none at all.
pub async fn tenant(db: &Db, config: &Config, clock: &dyn Clock) -> Result<(), Failure> {
    if !tenants::list(db).await?.is_empty() {
        return Ok(());
    }
    let profile = Profile {
        tenant: config.tenant.clone(),
        name: config.tenant.to_string(),
        zone: config.time_zone.clone(),
        language: config.lang,
        fingerprint_key: random::<32>().to_vec(),
    };
    tenants::add(db, &profile, clock.now()).await.map_err(Failure::store)?;
    tracing::info!(tenant = %profile.tenant, "tenant added");
    Ok(())
}

/// Writes an admin key if the database has no key; returns the file it wrote.
pub async fn admin_key(
    db: &Db,
    config: &Config,
    clock: &dyn Clock,
    live: bool,
) -> Result<Option<PathBuf>, Failure> {
    if keys::any(db).await? {
        return Ok(None);
    }
    let (text, key) = new_key(config, clock, live);
    let path = admin_key_file(&config.data_dir);
    super::private_folder(&config.data_dir)?;
    // The file first: a key that nobody can read again would lock everybody out.
    private_file(&path, &format!("{text}\n"))?;
    keys::add(db, &key).await.map_err(Failure::store)?;
    Ok(Some(path))
}

/// Where the admin key is written.
#[must_use]
pub fn admin_key_file(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.key")
}

fn new_key(config: &Config, clock: &dyn Clock, live: bool) -> (String, ApiKey) {
    let letter = |it: &u8| ALPHABET.get(usize::from(it % 32)).map_or('a', |it| char::from(*it));
    let key_id: String = random::<8>().iter().map(letter).collect();
    let secret = secret();
    let hash = Sha256::digest(secret.as_bytes()).to_vec();
    let mode = if live { "live" } else { "test" };
    let key = ApiKey {
        key_id: key_id.clone(),
        tenant: config.tenant.clone(),
        name: "admin".to_owned(),
        hash,
        scopes: vec!["admin".to_owned()],
        sources: Vec::new(),
        venues: Vec::new(),
        refuses_unknown_customers: false,
        actor: None,
        created_at: clock.now(),
        expires_at: None,
        revoked_at: None,
    };
    (format!("sapa_{mode}_{key_id}_{secret}"), key)
}

/// The token of a managed server: made once, kept beside its data.
pub fn nats_token(data_dir: &Path) -> Result<String, Failure> {
    let folder = data_dir.join("nats");
    let path = folder.join("token");
    if let Ok(text) = std::fs::read_to_string(&path)
        && !text.trim().is_empty()
    {
        return Ok(text.trim().to_owned());
    }
    super::private_folder(&folder)?;
    let token = BASE64URL_NOPAD.encode(&random::<32>());
    private_file(&path, &format!("{token}\n"))?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use store::Log;
    use store::db::Place;

    use super::*;
    use crate::clock::{SystemClock, SystemIds};
    use crate::config::{Profile as Defaults, Surroundings};

    #[tokio::test]
    async fn the_first_start_makes_a_tenant_and_one_key_and_the_second_makes_none() {
        use events::mint::Ids;
        let folder = tempfile::tempdir().unwrap();
        let flags = vec![("data_dir", folder.path().to_str().unwrap().to_owned(), "--data-dir")];
        let from = Surroundings { flags, ..Surroundings::default() };
        let config = Config::load(&from, Defaults::Service).unwrap();
        let place = Place::Folder(folder.path().to_owned());
        let log = Log::open(&place, 1, SystemIds.new_id()).await.unwrap();
        tenant(log.db(), &config, &SystemClock).await.unwrap();
        let path = admin_key(log.db(), &config, &SystemClock, true).await.unwrap().unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("sapa_live_") && text.trim().len() == 10 + 8 + 1 + 43, "{text}");
        tenant(log.db(), &config, &SystemClock).await.unwrap();
        assert_eq!(admin_key(log.db(), &config, &SystemClock, true).await.unwrap(), None);
        assert_eq!(tenants::list(log.db()).await.unwrap().len(), 1);
    }

    #[test]
    fn a_token_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let token = nats_token(folder.path()).unwrap();
        assert_eq!(nats_token(folder.path()).unwrap(), token);
    }
}
