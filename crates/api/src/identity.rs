//! From what a request carries to a [`Caller`]: the same headers, by the same names, on both faces.

use std::sync::Arc;

use events::id::{Actor, ActorKind, Tenant};
use events::problem::{Code, Language, Problem};

use crate::app::{App, Caller, Face};
use crate::auth::{Grant, token_invalid};
use crate::http::rate;
use crate::idempotency;
use crate::params::invalid;

/// What a request carries besides its parameters, wherever its headers came from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Carried<'a> {
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `Sapa-Tenant`: the tenant that the caller believes to ask. It chooses nothing.
    pub tenant: Option<&'a str>,
    /// `Sapa-Actor`.
    pub actor: Option<&'a str>,
    /// `Sapa-At-Least`.
    pub at_least: Option<&'a str>,
    /// `Idempotency-Key`.
    pub idempotency_key: Option<&'a str>,
    /// `If-Match`.
    pub if_match: Option<&'a str>,
    /// `traceparent`.
    pub trace: Option<&'a str>,
    /// The language that was asked for.
    pub language: Option<Language>,
}

/// The caller behind a key.
pub async fn by_key(
    app: &App,
    face: Face,
    carried: Carried<'_>,
    request_id: &str,
) -> Result<Caller, Box<Problem>> {
    let text = carried.authorization.and_then(bearer).ok_or_else(token_invalid)?;
    let grant = app.keys.grant(app.db(), text, app.clock.now()).await?;
    rate::admit(app, &grant.key_id)?;
    caller(app, face, &grant.tenant, Some(&*grant), carried, request_id).await
}

/// The caller whom a permission to publish the subject proves (over NATS, without a key).
pub async fn by_subject(
    app: &App,
    tenant: &Tenant,
    carried: Carried<'_>,
    request_id: &str,
) -> Result<Caller, Box<Problem>> {
    caller(app, Face::Request, tenant, None, carried, request_id).await
}

/// The answer to a caller who names another tenant than the one they proved. It is the same
/// whether or not the other one exists.
#[must_use]
pub fn other_tenant(own: &Tenant, named: &str) -> Box<Problem> {
    // Only what can be a tenant is repeated.
    let named = named.parse::<Tenant>();
    let (en, id) = match &named {
        Ok(named) => (
            format!("This request has the rights of the tenant `{own}`, not of `{named}`."),
            format!("Permintaan ini memiliki hak penyewa `{own}`, bukan `{named}`."),
        ),
        Err(_) => (
            format!("This request has the rights of the tenant `{own}`, not of another one."),
            format!("Permintaan ini memiliki hak penyewa `{own}`, bukan yang lain."),
        ),
    };
    Box::new(Problem::new(Code::TenantUnknown, en, id).hint(
        "Use a key of that tenant; an admin of the server makes one: `sapa key create NAME --set agent --tenant TENANT`.",
        "Gunakan kunci penyewa itu; admin server membuatnya: `sapa key create NAMA --set agent --tenant PENYEWA`.",
    ))
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

async fn caller(
    app: &App,
    face: Face,
    tenant: &Tenant,
    grant: Option<&Grant>,
    carried: Carried<'_>,
    request_id: &str,
) -> Result<Caller, Box<Problem>> {
    if let Some(named) = carried.tenant.filter(|it| *it != tenant.as_str()) {
        return Err(other_tenant(tenant, named));
    }
    let tenant = app.tenants.find(app.db(), tenant).await?;
    let language = carried.language.unwrap_or(tenant.language);
    Ok(Caller {
        scopes: grant.map_or(app.settings.default_scopes, |it| it.scopes),
        sources: grant.and_then(|it| it.sources.as_ref().map(Arc::clone)),
        venues: grant.map_or_else(|| Arc::from([]), |it| Arc::clone(&it.venues)),
        refuses_unknown_customers: grant.is_some_and(|it| it.refuses_unknown_customers),
        actor: actor(grant, carried.actor)?,
        key_id: grant.map(|it| it.key_id.clone()),
        own_source: "/api",
        face,
        subject: None,
        language,
        request_id: request_id.to_owned(),
        trace: carried.trace.map(str::to_owned),
        idempotency_key: carried.idempotency_key.map(idempotency::key).transpose()?,
        if_match: carried.if_match.and_then(|it| version(it).transpose()).transpose()?,
        at_least: carried.at_least.map(position).transpose()?,
        tenant,
    })
}

/// Who acts: the person the header names, else the key's own actor. An assistant's key acts as an
/// assistant and as nobody else.
fn actor(grant: Option<&Grant>, header: Option<&str>) -> Result<Option<Actor>, Box<Problem>> {
    let own = grant.and_then(|it| it.actor.clone());
    let Some(header) = header else { return Ok(own) };
    let named: Actor = header.parse().map_err(|error: events::id::IdError| {
        let id = "pelaku adalah customer, staff/<id>, ai/<id>, atau system/<id>";
        invalid("Sapa-Actor", "type", error.to_string(), id)
    })?;
    let assistant = own.as_ref().is_some_and(|it| it.kind() == ActorKind::Ai);
    if assistant && named.kind() != ActorKind::Ai {
        return Err(Box::new(Problem::new(
            Code::ScopeMissing,
            "This key acts as an assistant and cannot act as a person.",
            "Kunci ini bertindak sebagai asisten dan tidak dapat bertindak sebagai orang.",
        )));
    }
    Ok(Some(named))
}

/// The version in `If-Match`: `"12"`; `*` asks for nothing.
fn version(header: &str) -> Result<Option<i64>, Box<Problem>> {
    if header == "*" {
        return Ok(None);
    }
    let bare = header.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    bare.and_then(|it| it.parse().ok()).map(Some).ok_or_else(|| {
        let id = "harus versi dalam tanda kutip, misalnya \"12\"";
        invalid("If-Match", "type", "must be a version in double quotes, such as \"12\"", id)
    })
}

fn position(header: &str) -> Result<i64, Box<Problem>> {
    header.parse().ok().filter(|it| 0 <= *it).ok_or_else(|| {
        invalid("Sapa-At-Least", "type", "must be a position", "harus sebuah posisi")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_stands_in_quotes() {
        assert_eq!(version("\"12\"").unwrap(), Some(12));
        assert_eq!(version("*").unwrap(), None);
        assert!(version("12").is_err() && version("W/\"12\"").is_err());
    }

    #[test]
    fn only_a_bearer_carries_a_key() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer abc"), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
    }
}
