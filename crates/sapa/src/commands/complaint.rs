//! `sapa complaint`: what went wrong for a customer, and what is done about it.

use clap::Subcommand;
use serde_json::json;

use super::act;
use super::contact::with_data;
use crate::cli::Paging;
use crate::client::Call;
use crate::exit::Failure;

/// Columns of a list.
const COLUMNS: &[&str] =
    &["complaint", "customer", "kind", "category", "severity", "state", "raised_at", "owner"];
/// Members of the answer to a command.
const DONE: &[&str] = &["complaint.complaint", "complaint.customer", "receipts"];

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Complaint {
    /// Complaints, the oldest open one first
    List {
        /// Only of this customer
        #[arg(long)]
        customer: Option<String>,
        /// open, waiting, escalated, resolved or closed
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One complaint with its thread
    Show {
        /// The complaint
        id: String,
    },
    /// Record a complaint of a customer
    Raise {
        /// The customer
        customer: String,
        /// technical, service, billing, staff or other
        #[arg(long)]
        kind: String,
        /// What it is about, such as noise
        #[arg(long)]
        category: String,
        /// low, normal or high
        #[arg(long, default_value = "normal")]
        severity: String,
        /// What the customer said
        #[arg(long)]
        text: String,
        /// desk, phone, whatsapp, email, web, visit or other
        #[arg(long, default_value = "desk")]
        channel: String,
        /// More members of the data, as JSON
        #[arg(long, default_value = "{}")]
        data: String,
    },
    /// Say what was done about it
    Resolve {
        /// The complaint
        id: String,
        /// What was done
        #[arg(long)]
        remedy: String,
        /// Whose fault it was: ours, theirs or nobody
        #[arg(long)]
        fault: String,
        /// More members of the data, as JSON
        #[arg(long, default_value = "{}")]
        data: String,
    },
    /// The remedy did not hold
    Reopen {
        /// The complaint
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Give it to somebody who may decide
    Escalate {
        /// The complaint
        id: String,
        /// To this person
        #[arg(long)]
        to: String,
    },
}

impl Complaint {
    /// The question behind the words.
    pub fn call(self) -> Result<Call, Failure> {
        Ok(match self {
            Self::List { customer, state, paging } => Call::get(&["v1", "complaints"])
                .with("customer", customer)
                .with("state", state)
                .paged(&paging)
                .columns(COLUMNS),
            Self::Show { id } => Call::get(&["v1", "complaints", &id]),
            Self::Raise { customer, kind, category, severity, text, channel, data } => {
                let named = json!({
                    "customer": customer, "kind": kind, "category": category, "severity": severity,
                    "text": text, "channel": channel,
                });
                act(&["v1", "complaints"], &with_data(named, &data)?).columns(DONE)
            }
            Self::Resolve { id, remedy, fault, data } => {
                let named = json!({"remedy": remedy, "fault": fault});
                act(&["v1", "complaints", &id, "resolve"], &with_data(named, &data)?).columns(DONE)
            }
            Self::Reopen { id, reason } => {
                act(&["v1", "complaints", &id, "reopen"], &json!({"reason": reason})).columns(DONE)
            }
            Self::Escalate { id, to } => {
                act(&["v1", "complaints", &id, "escalate"], &json!({"to": to})).columns(DONE)
            }
        })
    }
}
