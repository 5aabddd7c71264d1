//! `sapa neglect`: who has been silent, and what is owed.

use clap::Subcommand;

use crate::cli::Paging;
use crate::client::Call;

/// Members of the answer about one customer, in the order of a page.
const PAGE: &[&str] = &[
    "customer",
    "clocks:clock,state,last,effective_due_at,sentence",
    "obligations:obligation,about,state,due_at,owner",
];

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Neglect {
    /// The three clocks and the debts of a customer
    Show {
        /// The customer
        id: String,
    },
    /// Clocks of all customers, the most urgent first
    List {
        /// they, we or owe
        #[arg(long)]
        clock: Option<String>,
        /// Only this state
        #[arg(long, help = "ok, due_soon, overdue …")]
        state: Option<String>,
        /// Only of this team
        #[arg(long)]
        team: Option<String>,
        /// Only of this person
        #[arg(long)]
        owner: Option<String>,
        /// Due within this time, such as 2d
        #[arg(long)]
        due_within: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
}

impl Neglect {
    /// The question behind the words.
    #[must_use]
    pub fn call(self) -> Call {
        match self {
            Self::Show { id } => Call::get(&["v1", "customers", &id, "neglect"]).columns(PAGE),
            Self::List { clock, state, team, owner, due_within, paging } => {
                Call::get(&["v1", "neglect"])
                    .with("clock", clock)
                    .with("state", state)
                    .with("team", team)
                    .with("owner", owner)
                    .with("due_within", due_within)
                    .paged(&paging)
                    .columns(&[
                        "customer",
                        "name",
                        "tier",
                        "clock",
                        "state",
                        "last",
                        "effective_due_at",
                        "owner",
                        "sentence",
                    ])
            }
        }
    }
}
