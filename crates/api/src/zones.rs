//! The zone of a tenant in its log.
//!
//! Days and working hours follow from policy `calendar`, and so from the log alone. A tenant that was
//! added with a zone of its own has it written there: as version 2 of its calendar, in force since the
//! beginning of time, so that history which is loaded later falls on the tenant's days too.

use std::sync::Arc;

use events::kind::Kind;
use events::policy::{Policies, Published};
use events::problem::{Code, Language, Problem};
use events::time::spell;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use store::tenants::Profile;

use crate::answer::unread;
use crate::app::{App, Caller, Face};
use crate::record::{Draft, record};
use crate::scope::Scopes;

/// Publishes the calendars of all tenants whose zone is not that of the default calendar and that have
/// published none; asked again, it changes nothing.
pub async fn publish_calendars(app: &App) -> Result<(), Box<Problem>> {
    for tenant in app.tenants.all() {
        publish_calendar(app, &tenant).await?;
    }
    Ok(())
}

/// The same for one tenant.
pub(crate) async fn publish_calendar(app: &App, tenant: &Arc<Profile>) -> Result<(), Box<Problem>> {
    let defaults = Policies::default();
    if tenant.zone == defaults.calendar.zone_name {
        return Ok(());
    }
    let stream = "policy/calendar".parse().map_err(|_| Box::new(Problem::of(Code::Internal)))?;
    let there = app.log.read_stream(&tenant.tenant, &stream, 0, 1).await;
    if !there.map_err(|error| unread(&error))?.is_empty() {
        return Ok(());
    }
    let mut body = defaults.body_json("calendar").cloned().unwrap_or_default();
    if let Some(members) = body.as_object_mut() {
        members.insert("zone".to_owned(), tenant.zone.as_str().into());
    }
    let published = Published::new("calendar", 2, Timestamp::UNIX_EPOCH, body);
    let data: Map<String, Value> = [
        ("name", json!(published.name)),
        ("version", json!(published.version)),
        ("effective_from", json!(spell(published.effective_from))),
        ("hash", json!(published.hash)),
        ("body", published.body),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let draft = Draft::new(Kind::PolicyPublished, data).at_version(0);
    match record(app, &house(tenant), "tenants.put", vec![draft]).await {
        // Another instance was first.
        Err(problem) if problem.code == Code::VersionConflict => Ok(()),
        other => other.map(drop),
    }
}

/// Sapa itself, within one tenant.
fn house(tenant: &Arc<Profile>) -> Caller {
    Caller {
        tenant: Arc::clone(tenant),
        scopes: Scopes::default(),
        sources: None,
        venues: Arc::from([]),
        refuses_unknown_customers: false,
        actor: None,
        key_id: None,
        own_source: "/api",
        face: Face::Http,
        subject: None,
        language: Language::default(),
        request_id: String::new(),
        trace: None,
        idempotency_key: None,
        if_match: None,
        at_least: None,
    }
}
