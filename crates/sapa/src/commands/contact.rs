//! `sapa contact` and `sapa plan`: what was said between a customer and us, and when we want to speak
//! next.

use clap::Args;
use serde_json::{Value, json};

use super::{act, json_argument, object};
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};

/// Members of the answer.
const DONE: &[&str] = &["customer.customer", "customer.name", "receipts"];

/// Record a dealing with a customer
#[derive(Debug, Args)]
pub struct Contact {
    /// The customer
    pub id: String,
    /// contacted, answered, thanked, messaged, inquired, greeted, noted …
    #[arg(long, default_value = "contacted")]
    pub action: String,
    /// desk, phone, whatsapp, email, web, visit or other
    #[arg(long)]
    pub channel: Option<String>,
    /// `follow_up`, courtesy, care, thanks, reminder, sales or `you_said_we_did`, for a contact
    #[arg(long)]
    pub purpose: Option<String>,
    /// reached, `left_message` or `no_answer`, for a contact
    #[arg(long)]
    pub outcome: Option<String>,
    /// When it happened [default: now]
    #[arg(long)]
    pub time: Option<String>,
    /// More members of the data, as JSON
    #[arg(long, default_value = "{}")]
    pub data: String,
}

impl Contact {
    /// Records.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let named = object([
            ("action", Some(json!(self.action))),
            ("channel", self.channel.map(|it| json!(it))),
            ("purpose", self.purpose.map(|it| json!(it))),
            ("outcome", self.outcome.map(|it| json!(it))),
            ("time", self.time.map(|it| json!(it))),
        ]);
        let body = with_data(named, &self.data)?;
        session.ask(act(&["v1", "customers", &self.id, "contacts"], &body).columns(DONE)).await
    }
}

/// Say when somebody will speak to a customer, or call that off
#[derive(Debug, Args)]
pub struct Plan {
    /// The customer
    pub id: String,
    /// When
    #[arg(long, required_unless_present = "cancel")]
    pub at: Option<String>,
    /// Who
    #[arg(long, required_unless_present = "cancel")]
    pub owner: Option<String>,
    /// `follow_up`, courtesy, care, thanks, reminder, sales or `you_said_we_did`
    #[arg(long, default_value = "courtesy")]
    pub purpose: String,
    /// Call the plan of this id off
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["at", "owner"])]
    pub cancel: Option<String>,
}

impl Plan {
    /// Records.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let body = match self.cancel {
            Some(plan) => json!({"plan": plan, "cancelled": true}),
            None => object([
                ("at", self.at.map(|it| json!(it))),
                ("owner", self.owner.map(|it| json!(it))),
                ("purpose", Some(json!(self.purpose))),
            ]),
        };
        session.ask(act(&["v1", "customers", &self.id, "plans"], &body).columns(DONE)).await
    }
}

/// What flags named, and the members of `--data`; a flag wins.
pub(super) fn with_data(named: Value, data: &str) -> Result<Value, Failure> {
    let mut body = json_argument("--data", data)?;
    if let (Some(body), Value::Object(named)) = (body.as_object_mut(), named) {
        body.extend(named);
    }
    Ok(body)
}
