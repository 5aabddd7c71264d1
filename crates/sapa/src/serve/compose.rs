//! The parts of a process, by its roles: faces, ingest, and the leader with its three. Each part
//! gets what it needs and nothing else; this file is the only one that knows all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use api::scope::Scopes;
use api::{App, Settings, Tenants};
use async_nats::jetstream;
use events::id::Tenant;
use ingest::TenantSettings;
use projections::Views;
use store::db::Place;
use store::lease::{self, LEADER};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::leader::Leader;
use super::nats::Broker;
use super::pipes::{self, Pipes};
use super::service::{Base, COMMIT, Mode, VERSION};
use super::term::{self, Plan};
use super::told::{Connections, Told};
use super::upkeep::Upkeep;
use crate::config::{Config, NatsMode};
use crate::exit::Failure;
use crate::lifecycle::{Task, Tasks};

/// How often the tenants are read again, for those that another instance added.
const TENANTS_EVERY: std::time::Duration = std::time::Duration::from_secs(5);

/// How often is looked whether another instance has swapped a build of the read models in.
const FOLLOW_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// What others may use of a running process.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The faces.
    pub app: Arc<App>,
    /// The read models.
    pub views: Views,
    /// The connections, if there is a broker.
    pub pipes: Option<Pipes>,
    /// The numbers.
    pub told: Arc<Told>,
}

/// Starts the parts that the roles of this process ask for.
pub async fn compose(
    base: &Base,
    listener: TcpListener,
    broker: Option<Broker>,
    tasks: &mut Tasks,
) -> Result<Parts, Failure> {
    let config = Arc::clone(&base.config);
    let database = &config.database;
    let clock = Arc::clone(&base.clock);
    let views =
        Views::open(database.place.clone(), base.log.clone(), clock, database.connections())
            .await?;
    let told = Arc::new(Told::default());
    let app = app(base, &views, &told).await?;
    if config.has_role("api") {
        let app = Arc::clone(&app);
        tasks.start(Task::Http, |stop| async move { Ok(api::serve(app, listener, stop).await?) });
    }
    let pipes = match broker {
        Some(broker) => Some(Box::pin(attach(base, broker, &told, tasks)).await?),
        None => None,
    };
    if let Some(pipes) = &pipes {
        record(base, pipes, &app, &told, tasks);
        answer(base, pipes, &app, tasks);
    }
    follow(base, &views, &told, tasks);
    if config.has_role("project") {
        lead(base, &views, pipes.clone(), &app, &told, tasks);
    }
    // Before anything is answered about days and hours; a server that is away is asked at the next start.
    if let Err(problem) = api::zones::publish_calendars(&app).await {
        tracing::warn!(code = problem.code.as_str(), "the calendars of tenants were not published");
    }
    app.health.started();
    Ok(Parts { app, views, pipes, told })
}

/// The connections, and the watch over a server of our own.
async fn attach(
    base: &Base,
    broker: Broker,
    told: &Told,
    tasks: &mut Tasks,
) -> Result<Pipes, Failure> {
    // It is set once, here.
    let _ = told.broker.set(crate::broker::without_login(&broker.url));
    let pipes = Box::pin(pipes::open(&base.config, &broker)).await?;
    let required = base.config.nats.required_ready;
    // It is set once, here.
    let _ = told.connections.set(Connections { clients: pipes.clients(), required });
    if let Some(server) = broker.server {
        tasks.found(Task::NatsServer, |stop| async move {
            tokio::select! {
                () = stop.cancelled() => {}
                Some(status) = server.wait() => anyhow::bail!("nats-server ended with {status}"),
            }
            server.stop().await;
            Ok(())
        });
    }
    Ok(pipes)
}

async fn app(base: &Base, views: &Views, told: &Arc<Told>) -> Result<Arc<App>, Failure> {
    let tenants = Arc::new(Tenants::load(base.log.db()).await?);
    let parts = api::Parts {
        log: base.log.clone(),
        appender: base.appender.clone(),
        bell: base.bell.clone(),
        clock: Arc::clone(&base.clock),
        ids: Arc::clone(&base.ids),
        views: views.clone(),
        tenants,
        settings: settings(&base.config, base.mode),
        metrics: Arc::clone(&base.metrics),
        surroundings: Arc::clone(told) as Arc<dyn api::surroundings::Surroundings>,
    };
    Ok(App::new(parts).await?)
}

fn settings(config: &Config, mode: Mode) -> Settings {
    let (http, nats) = (&config.http, &config.nats);
    Settings {
        home: config.tenant.clone(),
        allowed_hosts: http.allowed_hosts.clone(),
        public_url: http.public_url.clone().unwrap_or_default(),
        language: config.lang,
        default_scopes: Scopes::from_words(nats.default_scopes.iter().map(String::as_str)),
        require_token: nats.require_token,
        reply_prefixes: nats.reply_prefixes.clone(),
        refuse_unknown_fields: config.refuse_unknown_fields,
        metrics_open: config.metrics_open.unwrap_or(http.addr.ip().is_loopback()),
        live_keys: mode == Mode::Serve,
        connections_max: http.max_connections,
        request_timeout: http.request_timeout,
        rate_per_key: http.rate_per_key,
        proxies: http.trusted_proxies.clone(),
        grace: config.shutdown_grace,
        lag_max: config.projections.max_lag_ready,
        version: VERSION,
        commit: COMMIT,
        built_at: option_env!("SAPA_BUILT_AT").unwrap_or("unknown"),
    }
}

/// Recording from NATS.
fn record(base: &Base, pipes: &Pipes, app: &Arc<App>, told: &Told, tasks: &mut Tasks) {
    if !base.config.has_role("ingest") {
        return;
    }
    let (known, tenants) = watch::channel(known_tenants(app, &base.config));
    let ingest = ingest::Ingest::new(ingest::Parts {
        context: jetstream::new(pipes.ingest.clone()),
        appender: base.appender.clone(),
        log: base.log.clone(),
        clock: Arc::clone(&base.clock),
        tenants,
        home: base.config.tenant.clone(),
        counters: Arc::clone(&told.ingest),
        meter: base.meter(),
        ack_wait: base.config.nats.ack_wait,
    });
    let (context, counters) = (jetstream::new(pipes.ingest.clone()), Arc::clone(&told.ingest));
    let (app, config) = (Arc::clone(app), Arc::clone(&base.config));
    tasks.start(Task::Ingest, |stop| async move {
        let refresh = async {
            loop {
                // One that was added here is known at once, one of another instance soon.
                tokio::select! {
                    () = app.tenants.changed() => {}
                    () = tokio::time::sleep(TENANTS_EVERY) => {
                        if let Err(error) = app.tenants.refresh(app.db()).await {
                            tracing::warn!(%error, "the tenants could not be read again");
                        }
                    }
                }
                known.send_replace(known_tenants(&app, &config));
            }
        };
        tokio::select! {
            () = ingest.run(stop.clone()) => Ok(()),
            () = refresh => Ok(()),
            // It never ends before ingest does.
            () = async {
                ingest::watch::run(context, counters, stop).await;
                std::future::pending::<()>().await;
            } => Ok(()),
        }
    });
}

/// What ingest has to know of the tenants. Who may publish to a subject may send what the default
/// scopes allow, history included where they hold `import`.
fn known_tenants(app: &App, config: &Config) -> ingest::Tenants {
    let all = app.tenants.all();
    let refuse_unknown_fields = config.refuse_unknown_fields;
    let may_import = config.nats.default_scopes.iter().any(|it| it == "import");
    let settings = all.iter().map(|it| {
        let fingerprint_key = it.fingerprint_key.clone();
        let settings = TenantSettings { fingerprint_key, refuse_unknown_fields, may_import };
        (it.tenant.clone(), settings)
    });
    Arc::new(settings.collect::<BTreeMap<Tenant, TenantSettings>>())
}

/// Answering over NATS.
fn answer(base: &Base, pipes: &Pipes, app: &Arc<App>, tasks: &mut Tasks) {
    if !base.config.has_role("api") {
        return;
    }
    let (app, client) = (Arc::clone(app), pipes.api.clone());
    tasks.start(Task::Requests, |stop| async move {
        api::serve_nats(app, client, stop).await.map_err(|error| anyhow::anyhow!(error))
    });
}

/// Answering from the build that answers, whoever swapped it in, and knowing who leads.
fn follow(base: &Base, views: &Views, told: &Arc<Told>, tasks: &mut Tasks) {
    let (base, views, told) = (base.clone(), views.clone(), Arc::clone(told));
    let is_shared = matches!(base.config.database.place, Place::Server(_));
    let has_own_broker = is_shared && base.config.nats.mode == NatsMode::Managed;
    told.has_own_broker.store(has_own_broker, Ordering::Relaxed);
    tasks.start(Task::Follow, |stop| async move {
        while !stop.is_cancelled() {
            match lease::holder(base.log.db(), LEADER).await {
                Ok(held) => {
                    let now = base.clock.now();
                    let other = held.filter(|(it, _, until)| *it != base.holder && now < *until);
                    let other = other.map(|(it, ..)| it);
                    *told.other.lock().expect("no holder of this lock can panic") = other;
                }
                Err(error) => tracing::debug!(%error, "the lease could not be looked at"),
            }
            tokio::select! {
                () = tokio::time::sleep(FOLLOW_EVERY) => {}
                () = stop.cancelled() => break,
            }
            match views.refresh().await {
                Ok(true) => {
                    tracing::info!(generation = views.live().generation, "another build answers");
                }
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "the builds could not be looked at"),
            }
        }
        Ok(())
    });
}

/// Leading, or waiting to.
fn lead(
    base: &Base,
    views: &Views,
    pipes: Option<Pipes>,
    app: &Arc<App>,
    told: &Arc<Told>,
    tasks: &mut Tasks,
) {
    let of_tenant = Arc::clone(app);
    let upkeep = Arc::new(Upkeep::new(views.clone()));
    let plan = Plan {
        base: base.clone(),
        views: views.clone(),
        pipes,
        keys: Arc::new(move |tenant| {
            of_tenant.tenants.get(tenant).map(|it| it.fingerprint_key.clone())
        }),
        told: Arc::clone(told),
        upkeep: Arc::clone(&upkeep),
    };
    // It is set once, here.
    let _ = told.upkeep.set(upkeep);
    let leader = Leader {
        db: base.log.db().clone(),
        holder: base.holder.clone(),
        clock: Arc::clone(&base.clock),
        term: term::term(plan),
        told: Arc::clone(told),
    };
    tasks.start(Task::Leader, |stop| leader.run(stop));
}
