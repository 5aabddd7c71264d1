//! Which event is the first about its customer, told to callers that ask for it.

use std::collections::{HashMap, HashSet};

use events::envelope::Incoming;
use events::id::{CustomerId, Tenant};
use tokio::sync::mpsc;

use crate::log::Log;
use crate::writer::{Appended, Request};

/// Commits whose requests may wait for the read that tells the first event about a customer apart.
pub(crate) const COMMITTED_MAX: usize = 4;

/// Requests that were committed together, with their outcomes.
pub(crate) type Committed = Vec<(Request, Vec<Appended>)>;

/// Whether the first event about a customer is told apart, which takes a read after the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Firsts {
    Told,
    Untold,
}

/// Answers committed requests, with the first event about each customer told apart, until the writer ends.
pub(crate) async fn tell_firsts(log: Log, asked: Option<mpsc::Receiver<Committed>>) {
    let Some(mut asked) = asked else { return };
    while let Some(committed) = asked.recv().await {
        for (request, appended) in with_firsts(&log, committed).await {
            let _ = request.answer.send(Ok(appended));
        }
    }
}

/// Tells the first event about each customer apart, with one read for all requests of a commit.
///
/// The read comes after the commit: what came before an event is in the log then, whoever recorded it.
/// Where the log cannot be read, nothing is told apart.
async fn with_firsts(log: &Log, mut committed: Committed) -> Committed {
    let mut wanted: HashMap<&Tenant, HashSet<&CustomerId>> = HashMap::new();
    for (request, appended) in &committed {
        for (event, it) in request.events.iter().zip(appended) {
            if let Some(customer) = may_be_first(event, it) {
                wanted.entry(&event.tenant).or_default().insert(customer);
            }
        }
    }
    let mut firsts: HashMap<Tenant, HashMap<CustomerId, i64>> = HashMap::new();
    for (tenant, customers) in wanted {
        let customers: Vec<&CustomerId> = customers.into_iter().collect();
        match log.first_positions(tenant, &customers).await {
            Ok(found) => drop(firsts.insert(tenant.clone(), found)),
            Err(error) => tracing::debug!(%error, "whether customers are new could not be read"),
        }
    }
    for (request, appended) in &mut committed {
        for (event, it) in request.events.iter().zip(appended) {
            let first = may_be_first(event, it)
                .and_then(|customer| firsts.get(&event.tenant)?.get(customer).copied());
            if first == Some(it.receipt().position) {
                *it = Appended::RecordedFirst(it.receipt().clone());
            }
        }
    }
    committed
}

/// The customer whom an event may be the first about. A later entry of a customer's own stream is not.
fn may_be_first<'a>(event: &'a Incoming, it: &Appended) -> Option<&'a CustomerId> {
    let is_later = 1 < it.receipt().version && event.stream.as_str().starts_with("customer/");
    event.customer.as_ref().filter(|_| it.is_new() && !is_later)
}
