//! `policies.*`: what the business decides as data: which version was in force, and the next one.

use events::id::Stream;
use events::kind::Kind;
use events::policy::{Finding, NAMES, PolicyHistory, Published, Section};
use events::problem::{Code, Finding as Fault, Problem};
use events::spoken::counted;
use events::time::spell;
use projections::policies::query;
use serde_json::{Map, Value, json};

use super::view::look;
use super::{Body, Handler, Operation};
use crate::answer::{Reply, missing, unread};
use crate::app::{App, Caller};
use crate::page::Cursors;
use crate::params::Params;
use crate::record::{Draft, ai_may, created, record};
use crate::scope::Scope;

const LIST: Handler = |app, caller, params| Box::pin(list(app, caller, params));
const GET: Handler = |app, caller, params| Box::pin(get(app, caller, params));
const PUBLISH: Handler = |app, caller, params| Box::pin(publish(app, caller, params));

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation::view("policies.list", "/v1/policies", &[], LIST),
    Operation::view("policies.get", "/v1/policies/{name}", &["name", "version", "at"], GET),
    Operation {
        on_nats: false,
        ..Operation::command(
            "policies.publish",
            "/v1/policies/{name}",
            Scope::PolicyWrite,
            Body::Members,
            &["name", "body", "effective_from", "dry_run"],
            PUBLISH,
        )
    },
];

async fn list(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let look = look(app, caller, &params).await?;
    let items = query::list(&look.snapshot, caller.tenant(), look.now);
    Ok(look.page(&items, Cursors::default()))
}

async fn get(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let name = read.text("name").unwrap_or_default();
    let version = read.integer("version", 1..=i64::from(u32::MAX));
    let at = read.instant("at");
    read.done()?;
    let look = look(app, caller, &params).await?;
    let version = version.and_then(|it| u64::try_from(it).ok());
    let found = query::get(&look.snapshot, caller.tenant(), name, version, at.unwrap_or(look.now))
        .ok_or_else(|| missing("policy", "kebijakan", "name"))?;
    let version = found.get("version").and_then(Value::as_i64).unwrap_or_default();
    Ok(look.answer(found).etag(version))
}

/// Every version that was published, out of the log, and the version its stream is at.
async fn history(
    app: &App,
    caller: &Caller,
    stream: &Stream,
) -> Result<(PolicyHistory, i64), Box<Problem>> {
    const PAGE: usize = 500;
    let mut history = PolicyHistory::new();
    let mut after = 0;
    loop {
        let page = app
            .log
            .read_stream(caller.tenant(), stream, after, PAGE)
            .await
            .map_err(|error| unread(&error))?;
        for it in &page {
            // What is in the log and not valid any more was never in force either.
            if let Ok(published) = serde_json::from_str::<Published>(&it.data) {
                let _ = history.publish(published);
            }
        }
        after = page.last().map_or(after, |it| it.version);
        if page.len() < PAGE {
            return Ok((history, after));
        }
    }
}

async fn publish(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let name = read.text("name").unwrap_or_default();
    let effective_from = read.instant("effective_from");
    let dry_run = read.truth("dry_run").unwrap_or_default();
    let body = params.values().get("body").filter(|it| it.is_object());
    let body = read.required("body", body);
    read.done()?;
    if !NAMES.contains(&name) {
        return Err(missing("policy", "kebijakan", "name"));
    }
    let policies = app.policies(caller.tenant()).await?;
    ai_may(caller, &policies, None)?;
    let body = body.cloned().unwrap_or_default();
    Section::parse(name, &body).map_err(|faults| policy_invalid(&faults))?;
    let stream: Stream =
        format!("policy/{name}").parse().map_err(|_| missing("policy", "kebijakan", "name"))?;
    let (history, at) = history(app, caller, &stream).await?;
    let newest = history.next_version(name) - 1;
    if let Some(wanted) = caller.if_match
        && i64::try_from(newest).is_ok_and(|newest| newest != wanted)
    {
        let mut problem = Problem::new(
            Code::VersionConflict,
            format!("The newest version is {newest}, not {wanted}."),
            format!("Versi terbaru {newest}, bukan {wanted}."),
        );
        problem.rule = Some("if_match");
        return Err(Box::new(problem));
    }
    let effective_from = effective_from.unwrap_or_else(|| app.clock.now());
    let published = Published::new(name, newest + 1, effective_from, body);
    let mut data = Map::new();
    data.insert("name".to_owned(), name.into());
    data.insert("version".to_owned(), published.version.into());
    data.insert("effective_from".to_owned(), spell(effective_from).into());
    data.insert("hash".to_owned(), published.hash.as_str().into());
    if dry_run {
        data.insert("dry_run".to_owned(), true.into());
        return Ok(Reply::ok(&data));
    }
    data.insert("body".to_owned(), published.body.clone());
    let draft = Draft::new(Kind::PolicyPublished, data).at_version(at);
    // `If-Match` named a version of the policy, which was compared; the stream has its own.
    let unmatched = Caller { if_match: None, ..caller.clone() };
    let receipts = record(app, &unmatched, "policies.publish", vec![draft]).await?;
    let policy = json!({
        "name": name,
        "version": published.version,
        "effective_from": spell(effective_from),
        "hash": published.hash,
        "body": published.body,
    });
    let version = i64::try_from(published.version).unwrap_or_default();
    Ok(created(&receipts, Some(("policy", policy))).etag(version))
}

fn policy_invalid(faults: &[Finding]) -> Box<Problem> {
    let told = |it: &Finding| {
        let (en, id) = (it.detail.as_str(), it.indonesian.as_str());
        Fault::new(format!("/body{}", it.pointer), it.rule, en, id)
    };
    let count = counted(i64::try_from(faults.len()).unwrap_or(i64::MAX), "fault", "kesalahan");
    Box::new(
        Problem::new(
            Code::PolicyInvalid,
            format!("The policy has {}.", count.en),
            format!("Kebijakan ini memuat {}.", count.id),
        )
        .findings(faults.iter().map(told).collect()),
    )
}
