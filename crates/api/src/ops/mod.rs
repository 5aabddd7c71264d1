//! The one table of operations: what can be asked and commanded, over HTTP and over request-reply.
//!
//! An operation is a name, a route, a scope, the names of its parameters and a function. Both faces
//! are built from this table, so they cannot differ; what a face adds is how it finds the caller and
//! how it carries bytes. [`answer`] is the only way to a handler: scope, names, idempotency and
//! waiting stand there once.

use std::sync::{Arc, LazyLock};

use events::problem::{Code, Problem};
use futures_util::future::BoxFuture;

use crate::answer::Reply;
use crate::app::{App, Caller};
use crate::idempotency::{self, Claim};
use crate::params::Params;
use crate::scope::Scope;

pub mod alerts;
pub mod complaints;
pub mod customers;
pub mod facts;
pub mod keys;
pub mod loyalty;
pub mod neglect;
pub mod policies;
pub mod projections;
pub mod promises;
pub mod quarantine;
pub mod receipts;
pub mod streams;
pub mod summary;
pub mod tenants;
pub mod timeline;
pub mod view;

pub(crate) mod mask;
mod refused;

/// What a handler is: parameters in, an answer or a problem out.
pub type Handler =
    for<'a> fn(&'a App, &'a Caller, Params) -> BoxFuture<'a, Result<Reply, Box<Problem>>>;

/// HTTP methods that operations use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Reads.
    Get,
    /// Writes.
    Post,
    /// Makes or replaces one thing by name.
    Put,
    /// Changes one thing.
    Patch,
    /// Takes one thing away.
    Delete,
}

impl Method {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Which members a body may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    None,
    /// An object whose members are parameters.
    Members,
    /// An object that is the data of an event besides its parameters; the schema refuses the rest.
    Data,
    /// Events.
    Events,
}

/// One thing that can be asked or commanded.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// `resource.verb`: the NATS endpoint and the operation id in documents.
    pub id: &'static str,
    /// HTTP method.
    pub method: Method,
    /// HTTP path, with `{names}` of parameters.
    pub path: &'static str,
    /// What the caller must be allowed.
    pub scope: Scope,
    /// It records events, takes `Idempotency-Key`, and the answer waits for nothing.
    pub is_command: bool,
    /// It answers from read models: `at_least`, `wait`, `as_of`.
    pub reads_models: bool,
    /// It is answered over request-reply too.
    pub on_nats: bool,
    /// What its body may hold.
    pub body: Body,
    /// Names of its parameters, path included.
    pub parameters: &'static [&'static str],
    /// What does it.
    pub handler: Handler,
}

impl Operation {
    /// An operation that reads what is in the log or around it.
    #[must_use]
    pub const fn read(
        id: &'static str,
        path: &'static str,
        scope: Scope,
        parameters: &'static [&'static str],
        handler: Handler,
    ) -> Self {
        Self {
            id,
            method: Method::Get,
            path,
            scope,
            is_command: false,
            reads_models: false,
            on_nats: true,
            body: Body::None,
            parameters,
            handler,
        }
    }

    /// An operation that answers from read models.
    #[must_use]
    pub const fn view(
        id: &'static str,
        path: &'static str,
        parameters: &'static [&'static str],
        handler: Handler,
    ) -> Self {
        Self {
            reads_models: true,
            ..Self::read(id, path, Scope::TimelineRead, parameters, handler)
        }
    }

    /// An operation that records events.
    #[must_use]
    pub const fn command(
        id: &'static str,
        path: &'static str,
        scope: Scope,
        body: Body,
        parameters: &'static [&'static str],
        handler: Handler,
    ) -> Self {
        Self {
            method: Method::Post,
            is_command: true,
            body,
            ..Self::read(id, path, scope, parameters, handler)
        }
    }

    /// An operation that changes something around the log; HTTP only.
    #[must_use]
    pub const fn manage(
        id: &'static str,
        method: Method,
        path: &'static str,
        scope: Scope,
        parameters: &'static [&'static str],
        handler: Handler,
    ) -> Self {
        let body = match method {
            Method::Get | Method::Delete => Body::None,
            _ => Body::Members,
        };
        Self { method, on_nats: false, body, ..Self::read(id, path, scope, parameters, handler) }
    }

    /// The first word of its name.
    #[must_use]
    pub fn resource(&self) -> &'static str {
        self.id.split_once('.').map_or(self.id, |(resource, _)| resource)
    }

    /// The second word of its name.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        self.id.split_once('.').map_or("", |(_, verb)| verb)
    }

    /// It changes something, so it runs to its end even when the caller goes away.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.method != Method::Get
    }

    /// Every name that may be sent.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let mut names = self.parameters.to_vec();
        names.extend(["lang", "tz"]);
        if self.reads_models {
            names.extend(["at_least", "wait"]);
        }
        names
    }
}

static TABLE: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    [
        facts::OPERATIONS,
        streams::OPERATIONS,
        receipts::OPERATIONS,
        customers::OPERATIONS,
        timeline::OPERATIONS,
        loyalty::OPERATIONS,
        neglect::OPERATIONS,
        complaints::OPERATIONS,
        promises::OPERATIONS,
        alerts::OPERATIONS,
        policies::OPERATIONS,
        projections::OPERATIONS,
        quarantine::OPERATIONS,
        keys::OPERATIONS,
        tenants::OPERATIONS,
    ]
    .concat()
});

/// All operations, in the order of the documents.
#[must_use]
pub fn table() -> &'static [Operation] {
    &TABLE
}

/// The operation of a name.
#[must_use]
pub fn find(id: &str) -> Option<&'static Operation> {
    table().iter().find(|it| it.id == id)
}

/// Answers one request: everything that does not depend on the face.
pub async fn answer(
    app: &Arc<App>,
    operation: &'static Operation,
    caller: Caller,
    params: Params,
) -> Result<Reply, Box<Problem>> {
    caller.needs(operation.scope)?;
    if operation.body != Body::Data {
        params.only(&operation.names())?;
    }
    let mut read = params.read();
    read.zone("tz");
    read.done()?;
    if !operation.writes() {
        return within(app, run(app, operation, &caller, params)).await;
    }
    // X6: a handler's future is dropped when the client disconnects; what writes must not be.
    let shared = Arc::clone(app);
    let task = app.tracker.spawn(async move { run(&shared, operation, &caller, params).await });
    within(
        app,
        async move { task.await.unwrap_or_else(|_| Err(Problem::of(Code::Internal).into())) },
    )
    .await
}

async fn within(
    app: &App,
    work: impl Future<Output = Result<Reply, Box<Problem>>>,
) -> Result<Reply, Box<Problem>> {
    let timeout = || {
        Box::new(Problem::new(
            Code::Timeout,
            "The answer took too long. What was sent may have been recorded: ask for its receipt.",
            "Jawaban terlalu lama. Yang dikirim mungkin sudah tercatat: minta tanda terimanya.",
        ))
    };
    tokio::time::timeout(app.settings.request_timeout, work).await.map_err(|_| timeout())?
}

async fn run(
    app: &App,
    operation: &'static Operation,
    caller: &Caller,
    params: Params,
) -> Result<Reply, Box<Problem>> {
    let Some(key) = caller.idempotency_key.as_deref().filter(|_| operation.is_command) else {
        return (operation.handler)(app, caller, params).await;
    };
    let request = idempotency::fingerprint(operation, caller, params.values());
    match idempotency::claim(app, caller, operation, key, &request).await? {
        Claim::Answered(reply) => Ok(reply),
        Claim::Ours => {
            let outcome = (operation.handler)(app, caller, params).await;
            idempotency::settle(app, caller, operation, key, &outcome).await;
            outcome
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::scope::{SETS, Scopes};

    #[test]
    fn every_operation_has_a_name_and_a_route_of_its_own() {
        let ids: BTreeSet<_> = table().iter().map(|it| it.id).collect();
        let routes: BTreeSet<_> = table().iter().map(|it| (it.path, it.method)).collect();
        assert_eq!((ids.len(), routes.len()), (table().len(), table().len()));
    }

    #[test]
    fn a_name_is_two_words_that_fit_a_subject() {
        for it in table() {
            let word = |text: &str| {
                (1..=32).contains(&text.len())
                    && text.bytes().all(|it| it.is_ascii_lowercase() || matches!(it, b'-' | b'_'))
            };
            assert!(word(it.resource()) && word(it.verb()), "{}", it.id);
        }
    }

    #[test]
    fn every_name_in_a_path_is_a_parameter() {
        for it in table() {
            for name in it.path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'))
            {
                assert!(it.parameters.contains(&name), "{} lacks {name}", it.id);
            }
        }
    }

    #[test]
    fn what_reads_has_no_body_and_what_commands_is_posted() {
        for it in table() {
            assert!(it.writes() || it.body == Body::None, "{}", it.id);
            assert!(!it.is_command || it.method == Method::Post, "{}", it.id);
        }
    }

    #[test]
    fn each_set_of_scopes_opens_exactly_the_operations_of_its_scopes() {
        for (name, scopes) in SETS {
            let granted = Scopes::set(name).unwrap();
            for it in table() {
                assert_eq!(granted.allow(it.scope), scopes.contains(&it.scope), "{name} {}", it.id);
            }
        }
    }
}
