//! `keys.*`: API keys of a tenant. A secret is shown once, when it is made, and never again.
//!
//! An admin of the server names the tenant whose keys are meant, which is how a second tenant gets
//! its first one; everybody else works with the keys of their own tenant.

use std::str::FromStr;

use events::id::{Actor, IdError, Tenant};
use events::problem::{Code, Problem};
use events::time::spell;
use serde_json::{Value, json};
use store::keys::{self, ApiKey};

use super::{Handler, Method, Operation};
use crate::answer::{Reply, missing, put, unread, unwritten};
use crate::app::{App, Caller};
use crate::auth::NewKey;
use crate::identity::other_tenant;
use crate::params::{Params, Reader};
use crate::scope::{SETS, Scope, Scopes};

/// Keys of one tenant that are not revoked.
pub const KEYS_MAX: usize = 256;
/// Values of `unknown_customers`: whether an event about a customer nobody has heard of is taken.
const RECORD: &str = "record";
const REFUSE: &str = "refuse";

const LIST: Handler = |app, caller, params| Box::pin(list(app, caller, params));
const MAKE: Handler = |app, caller, params| Box::pin(make(app, caller, params));
const REVOKE: Handler = |app, caller, params| Box::pin(revoke(app, caller, params));

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation::manage("keys.list", Method::Get, "/v1/keys", Scope::KeyManage, &["tenant"], LIST),
    Operation::manage(
        "keys.make",
        Method::Post,
        "/v1/keys",
        Scope::KeyManage,
        &[
            "name",
            "scopes",
            "set",
            "sources",
            "venues",
            "unknown_customers",
            "actor",
            "expires_at",
            "tenant",
        ],
        MAKE,
    ),
    Operation::manage(
        "keys.revoke",
        Method::Delete,
        "/v1/keys/{id}",
        Scope::KeyManage,
        &["id", "tenant"],
        REVOKE,
    ),
];

fn told(it: &ApiKey) -> Value {
    json!({
        "id": it.key_id,
        "tenant": it.tenant,
        "name": it.name,
        "scopes": it.scopes,
        "sources": it.sources,
        "venues": it.venues,
        "unknown_customers": if it.refuses_unknown_customers { REFUSE } else { RECORD },
        "actor": it.actor,
        "created_at": spell(it.created_at),
        "expires_at": it.expires_at.map(spell),
        "revoked_at": it.revoked_at.map(spell),
    })
}

/// The tenant whose keys are meant: the caller's own, or the one that an admin of the server names.
async fn tenant(app: &App, caller: &Caller, named: Option<Tenant>) -> Result<Tenant, Box<Problem>> {
    let named = named.unwrap_or_else(|| caller.tenant().clone());
    if named == *caller.tenant() {
        return Ok(named);
    }
    if app.is_server_admin(caller) {
        return Ok(app.tenants.find(app.db(), &named).await?.tenant.clone());
    }
    Err(other_tenant(caller.tenant(), named.as_str()))
}

async fn list(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let named = read.parsed("tenant");
    read.done()?;
    let tenant = tenant(app, caller, named).await?;
    let all = keys::list(app.db(), &tenant).await.map_err(|error| unread(&error))?;
    Ok(Reply::ok(&json!({"items": all.iter().map(told).collect::<Vec<_>>()})))
}

async fn make(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let name = read.text("name");
    let name = read.required("name", name);
    let scopes = scopes(&mut read);
    let sources =
        parsed(&mut read, "sources", "setiap sumber adalah rujukan URI tanpa #, 1 sampai 256 byte");
    let venues = parsed(&mut read, "venues", "setiap tempat adalah sebuah id");
    let unknown = read.word("unknown_customers", &[RECORD, REFUSE]);
    let actor: Option<Actor> = read.parsed("actor");
    let expires_at = read.instant("expires_at");
    let now = app.clock.now();
    if expires_at.is_some_and(|it| it <= now) {
        read.fault("expires_at", "range", "must lie ahead", "harus di masa depan");
    }
    let named = read.parsed("tenant");
    read.done()?;
    let tenant = tenant(app, caller, named).await?;
    // Nobody hands on what they do not have.
    if !caller.scopes.cover(scopes) {
        return Err(Box::new(Problem::new(
            Code::ScopeMissing,
            "A key cannot be given scopes that yours does not have.",
            "Kunci tidak dapat diberi cakupan yang tidak dimiliki kunci Anda.",
        )));
    }
    let there = keys::list(app.db(), &tenant).await.map_err(|error| unread(&error))?;
    if KEYS_MAX <= there.iter().filter(|it| it.revoked_at.is_none()).count() {
        return Err(Box::new(Problem::new(
            Code::RateLimited,
            format!("A tenant has at most {KEYS_MAX} keys; revoke one first."),
            format!("Satu penyewa paling banyak memiliki {KEYS_MAX} kunci; cabut satu dahulu."),
        )));
    }
    let new = NewKey::make(&*app.ids, app.settings.live_keys);
    let key = ApiKey {
        key_id: new.key_id,
        tenant,
        name: name.unwrap_or_default().to_owned(),
        hash: new.hash,
        scopes: scopes.words().into_iter().map(str::to_owned).collect(),
        sources,
        venues,
        refuses_unknown_customers: unknown == Some(REFUSE),
        actor,
        created_at: now,
        expires_at,
        revoked_at: None,
    };
    keys::add(app.db(), &key).await.map_err(unwritten)?;
    let mut answer = told(&key);
    put(&mut answer, "key", new.text);
    Ok(Reply::of(201, &answer).header("location", format!("/v1/keys/{}", key.key_id)))
}

/// Either words, or the name of a set.
fn scopes(read: &mut Reader<'_>) -> Scopes {
    let words = read.texts("scopes");
    for word in &words {
        if Scope::from_word(word).is_none() {
            let all: Vec<_> = Scope::ALL.into_iter().map(Scope::as_str).collect();
            let all = all.join(", ");
            read.fault(
                "scopes",
                "type",
                format!("must be some of {all}"),
                format!("harus sebagian dari {all}"),
            );
        }
    }
    let sets = SETS.map(|(name, _)| name);
    match (read.word("set", &sets), words.is_empty()) {
        (Some(set), true) => Scopes::set(set).unwrap_or_default(),
        (None, false) => Scopes::from_words(words),
        (Some(_), false) => {
            read.fault(
                "set",
                "type",
                "send either `scopes` or `set`",
                "kirim `scopes` atau `set`, salah satu",
            );
            Scopes::default()
        }
        (None, true) => {
            read.fault("scopes", "required", "send `scopes` or `set`", "kirim `scopes` atau `set`");
            Scopes::default()
        }
    }
}

/// A list of ids of one kind.
fn parsed<T: FromStr<Err = IdError>>(
    read: &mut Reader<'_>,
    name: &'static str,
    indonesian: &str,
) -> Vec<T> {
    let parsed: Result<Vec<T>, IdError> = read.texts(name).into_iter().map(str::parse).collect();
    parsed.unwrap_or_else(|error| {
        read.fault(name, "type", error.to_string(), indonesian);
        Vec::new()
    })
}

async fn revoke(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let id = read.text("id").unwrap_or_default();
    let named = read.parsed("tenant");
    read.done()?;
    let tenant = tenant(app, caller, named).await?;
    let revoked = keys::revoke(app.db(), &tenant, id, app.clock.now()).await.map_err(unwritten)?;
    app.keys.forget(id);
    if revoked { Ok(Reply::nothing()) } else { Err(missing("key", "kunci", "id")) }
}
