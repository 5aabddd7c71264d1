//! `tenants.*`: whose data there is. A tenant is never made by use, only by name, here, by an admin
//! of the server. An admin of one tenant sees that tenant and no other.

use events::id::Tenant;
use events::problem::{Code, Language, Problem};
use serde_json::{Value, json};
use store::tenants::{self, Profile};

use super::{Handler, Method, Operation};
use crate::answer::{Reply, unread, unwritten};
use crate::app::{App, Caller};
use crate::auth::secret_bytes;
use crate::params::Params;
use crate::scope::Scope;

const LIST: Handler = |app, caller, params| Box::pin(list(app, caller, params));
const PUT: Handler = |app, caller, params| Box::pin(put(app, caller, params));

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation::manage("tenants.list", Method::Get, "/v1/tenants", Scope::Admin, &[], LIST),
    Operation::manage(
        "tenants.put",
        Method::Put,
        "/v1/tenants/{tenant}",
        Scope::Admin,
        &["tenant", "name", "zone", "language"],
        PUT,
    ),
];

fn told(it: &Profile) -> Value {
    json!({"tenant": it.tenant, "name": it.name, "zone": it.zone, "language": it.language.tag()})
}

async fn list(app: &App, caller: &Caller, _: Params) -> Result<Reply, Box<Problem>> {
    let mut all = tenants::list(app.db()).await.map_err(|error| unread(&error))?;
    if !app.is_server_admin(caller) {
        all.retain(|it| it.tenant == *caller.tenant());
    }
    Ok(Reply::ok(&json!({"items": all.iter().map(told).collect::<Vec<_>>()})))
}

async fn put(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    if !app.is_server_admin(caller) {
        return Err(Box::new(Problem::new(
            Code::ScopeMissing,
            "Only an admin of the server adds tenants.",
            "Hanya admin server yang menambah penyewa.",
        )));
    }
    let mut read = params.read();
    let tenant: Option<Tenant> = read.parsed("tenant");
    let tenant = read.required("tenant", tenant);
    let name = read.text("name");
    let zone = read.text("zone").unwrap_or("Asia/Jakarta");
    read.zone("zone");
    let language = read.word("language", &["en", "id"]);
    read.done()?;
    let Some(tenant) = tenant else { return Err(Box::new(Problem::of(Code::TenantUnknown))) };
    let wanted = Profile {
        name: name.unwrap_or(tenant.as_str()).to_owned(),
        tenant,
        zone: zone.to_owned(),
        language: language.and_then(Language::first_of).unwrap_or(app.settings.language),
        fingerprint_key: secret_bytes(&*app.ids).to_vec(),
    };
    let added = tenants::add(app.db(), &wanted, app.clock.now()).await.map_err(unwritten)?;
    app.tenants.added(app.db()).await.map_err(|error| unread(&error))?;
    let there = app.tenants.find(app.db(), &wanted.tenant).await?;
    crate::zones::publish_calendar(app, &there).await?;
    if added {
        return Ok(Reply::of(201, &told(&wanted)));
    }
    let same = told(&there) == told(&wanted);
    if same || params.values().len() == 1 {
        return Ok(Reply::ok(&told(&there)));
    }
    Err(Box::new(Problem::new(
        Code::AlreadyExists,
        "This tenant exists with other settings, which stay as they are.",
        "Penyewa ini sudah ada dengan setelan lain, yang tetap berlaku.",
    )))
}
