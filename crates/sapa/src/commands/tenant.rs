//! `sapa tenant`: the businesses on this server. An unknown tenant is never made by use.

use clap::Subcommand;
use serde_json::json;

use super::object;
use crate::client::{Call, Method};

const COLUMNS: &[&str] = &["tenant", "name", "zone", "language"];

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Tenant {
    /// All of them
    List,
    /// Add one
    Add {
        /// Its id
        #[arg(id = "new", value_name = "TENANT")]
        tenant: String,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        /// The zone in which its days begin
        #[arg(long)]
        zone: Option<String>,
        /// en or id
        #[arg(long)]
        language: Option<String>,
    },
}

impl Tenant {
    /// The question behind the words.
    #[must_use]
    pub fn call(self) -> Call {
        match self {
            Self::List => Call::get(&["v1", "tenants"]).columns(COLUMNS),
            Self::Add { tenant, name, zone, language } => {
                let body = object([
                    ("name", name.map(|it| json!(it))),
                    ("zone", zone.map(|it| json!(it))),
                    ("language", language.map(|it| json!(it))),
                ]);
                Call::new(Method::PUT, &["v1", "tenants", &tenant])
                    .sending("application/json", body.to_string().into_bytes())
                    .columns(COLUMNS)
            }
        }
    }
}
