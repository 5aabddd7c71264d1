//! The command tree: what may be typed, and what every command understands. Parsing is clap's;
//! wrong usage ends with exit code 2 and the line that would be right.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::{
    alert, backup, complaint, config, contact, customer, demo, doctor, event, health, key, loyalty,
    migrate, nats, neglect, policy, projection, promise, quarantine, recover, request, restore,
    schema, serve, servers, setup, tenant, verify, worklist,
};

/// Records what happens between a business and its customers, and says what is owed to whom.
#[derive(Debug, Parser)]
#[command(name = "sapa", version, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Begin with `sapa demo`. Exit codes: 0 done, 1 failed, 2 usage, 3 not found, \
                        4 invalid, 5 refused, 69 unavailable, 75 try again, 77 not allowed, \
                        78 configuration, 130 interrupted."
)]
pub struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[value(alias = "text")]
    Table,
    /// The API's answer, byte for byte.
    Json,
    /// One JSON document a line.
    Jsonl,
    /// Comma-separated values.
    Csv,
}

/// What every command understands.
#[derive(Clone, Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are bools")]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// The server to ask
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "The server to ask [default: SAPA_SERVER, else the address configured here]"
    )]
    pub server: Option<String>,
    /// The API key
    #[arg(
        long,
        global = true,
        help = "The API key [default: SAPA_KEY, SAPA_KEY_FILE, else admin.key of that server]"
    )]
    pub key: Option<String>,
    /// The NATS server
    #[arg(long, global = true, value_name = "URL")]
    pub nats: Option<String>,
    /// The tenant that the key has to belong to; with `key`, whose keys
    #[arg(long, global = true)]
    pub tenant: Option<String>,
    /// Who acts: staff/ID, ai/ID or system/ID
    #[arg(long, global = true)]
    pub actor: Option<String>,
    /// How answers are printed [default: table on a terminal, otherwise jsonl]
    #[arg(long, global = true, value_enum)]
    pub output: Option<Format>,
    /// The same as --output json
    #[arg(long, global = true, conflicts_with = "output")]
    pub json: bool,
    /// The language: en or id
    #[arg(long, global = true)]
    pub lang: Option<String>,
    /// The time zone of dates and printed times
    #[arg(long, global = true, value_name = "ZONE")]
    pub tz: Option<String>,
    /// Answer only from this position on
    #[arg(long, global = true, value_name = "POSITION")]
    pub at_least: Option<u64>,
    /// How long to wait for it, such as 5s
    #[arg(long, global = true, value_name = "DURATION")]
    pub wait: Option<String>,
    /// The configuration file [default: ./sapa.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Say less
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// No colour
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Do not ask
    #[arg(long, global = true)]
    pub yes: bool,
    /// Say what would be done, and do nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
}

impl Globals {
    /// The settings among them, as flags of the configuration.
    #[must_use]
    pub fn flags(&self) -> Vec<(&'static str, String, &'static str)> {
        [
            ("nats.url", &self.nats, "--nats"),
            ("tenant", &self.tenant, "--tenant"),
            ("lang", &self.lang, "--lang"),
            ("time_zone", &self.tz, "--tz"),
        ]
        .into_iter()
        .filter_map(|(key, value, flag)| Some((key, value.clone()?, flag)))
        .collect()
    }
}

/// The words behind `sapa`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A hotel with a year of history: one command, no setup
    Demo(demo::Demo),
    /// Run the service
    Serve(serve::Serve),
    /// Bring the database up to date
    Migrate(migrate::Migrate),
    /// Create or repair streams and consumers on NATS
    Setup(setup::Setup),
    /// Every start-up check with its remedy
    Doctor(doctor::Doctor),
    /// Whether the server is ready, for container health checks
    Health(health::Health),
    /// Find or fetch the server programs
    #[command(subcommand)]
    Servers(servers::Servers),
    /// The log folded again, compared with its read models
    Verify(verify::Verify),
    /// After a log that has lost its end: read models anew, and what is published again
    Recover(recover::Recover),
    /// Log and read models in one file, while a server writes
    Backup(backup::Backup),
    /// Put a backup in the place of the log
    Restore(restore::Restore),
    /// Publish, read and import events
    #[command(subcommand)]
    Event(event::Event),
    /// Who customers are and what happened with them
    #[command(subcommand)]
    Customer(customer::Customer),
    /// Prospect, secondary or primary, and why
    #[command(subcommand)]
    Loyalty(loyalty::Loyalty),
    /// Who has been silent, and what is owed
    #[command(subcommand)]
    Neglect(neglect::Neglect),
    /// Whose turn it is
    #[command(subcommand)]
    Worklist(worklist::Worklist),
    /// Record a dealing with a customer
    Contact(contact::Contact),
    /// Plan when to speak to a customer
    Plan(contact::Plan),
    /// What went wrong and what is done about it
    #[command(subcommand)]
    Complaint(complaint::Complaint),
    /// What was promised until when
    #[command(subcommand)]
    Promise(promise::Promise),
    /// What somebody should act on
    #[command(subcommand)]
    Alert(alert::Alert),
    /// The thresholds of the business
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Read models: state, rebuild, parked customers
    #[command(subcommand)]
    Projection(projection::Projection),
    /// Messages that could not be recorded
    #[command(subcommand)]
    Quarantine(quarantine::Quarantine),
    /// The kinds of events and their schemas
    #[command(subcommand)]
    Schema(schema::Schema),
    /// API keys
    #[command(subcommand)]
    Key(key::Key),
    /// Businesses on this server
    #[command(subcommand)]
    Tenant(tenant::Tenant),
    /// Accounts and credentials for a NATS server of your own
    #[command(subcommand)]
    Nats(nats::Nats),
    /// One request over NATS, without the nats tool
    Request(request::Request),
    /// The configuration and where it comes from
    #[command(subcommand)]
    Config(config::Config),
    /// The version of this program
    Version,
}

/// What every list understands.
#[derive(Clone, Debug, Default, Args)]
pub struct Paging {
    /// Items on this page, 1 to 500
    #[arg(long)]
    pub limit: Option<u16>,
    /// Where the page before ended
    #[arg(long)]
    pub cursor: Option<String>,
}
