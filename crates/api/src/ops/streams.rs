//! `streams.get`: the facts of one stream, in their order, with its version for `If-Match`.

use events::id::{Stream, Tenant};
use events::json::INTEGER_MAX;
use events::problem::Problem;
use store::ReadError;

use super::{Handler, Operation, mask};
use crate::answer::{Reply, json, missing, unread};
use crate::app::{App, Caller};
use crate::params::Params;
use crate::scope::Scope;

const GET: Handler = |app, caller, params| Box::pin(get(app, caller, params));

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[Operation::read(
    "streams.get",
    "/v1/streams/{kind}/{id}",
    Scope::EventsRead,
    &["kind", "id", "after_version", "limit"],
    GET,
)];

async fn get(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let kind = read.text("kind").unwrap_or_default();
    let id = read.text("id").unwrap_or_default();
    let after = read.integer("after_version", 0..=INTEGER_MAX).unwrap_or_default();
    let limit = read.limit();
    read.done()?;
    // A name that no stream can have is a stream that does not exist.
    let stream: Stream =
        format!("{kind}/{id}").parse().map_err(|_| missing("stream", "aliran", "id"))?;
    let tenant = caller.tenant();
    let items =
        app.log.read_stream(tenant, &stream, after, limit).await.map_err(|error| unread(&error))?;
    let version = match items.last() {
        Some(last) if items.len() < limit => last.version,
        _ => version(app, tenant, &stream).await.map_err(|error| unread(&error))?,
    };
    if version == 0 {
        return Err(missing("stream", "aliran", "id"));
    }
    let items: Vec<String> = items.iter().map(|it| mask::write(it, caller)).collect();
    let stream = json(&stream);
    let body =
        format!("{{\"stream\":{stream},\"version\":{version},\"items\":[{}]}}", items.join(","));
    Ok(Reply::new(200, body).etag(version))
}

/// The version a stream is at; 0 if it does not exist.
///
/// Versions are dense, so whether one exists is asked for twice the last one that does, and then
/// for the middle: a few small reads, however long the stream is.
pub async fn version(app: &App, tenant: &Tenant, stream: &Stream) -> Result<i64, ReadError> {
    let exists = async |version: i64| {
        let one = app.log.read_stream(tenant, stream, version - 1, 1).await?;
        Ok::<bool, ReadError>(!one.is_empty())
    };
    if !exists(1).await? {
        return Ok(0);
    }
    let mut there = 1;
    let mut missing = 2;
    while exists(missing).await? {
        there = missing;
        missing *= 2;
    }
    while there + 1 < missing {
        let middle = there + (missing - there) / 2;
        if exists(middle).await? {
            there = middle;
        } else {
            missing = middle;
        }
    }
    Ok(there)
}
