//! A second cluster that copies the first and follows it, for tests of fail-over. Made with
//! `pg_basebackup`, which has to lie beside the other programs; it streams until it is promoted, told
//! otherwise, or dropped. It promises what PostgreSQL does: whether the first one waits for it is the
//! first one's setting `synchronous_standby_names`.

use super::{Cluster, ClusterOptions, SOCKET_PORT, SUPERUSER, failed, free_port};
use crate::servers::{ServerError, scratch};

/// How long a promotion may take, in seconds.
const PROMOTED_WITHIN: u32 = 60;

impl Cluster {
    /// A standby of this cluster under a name, which is that of its connection too. It is running and
    /// can be read when this returns.
    pub async fn standby(&self, name: &str) -> Result<Self, ServerError> {
        let folder = scratch::create("sapa-pg")
            .map_err(ServerError::folder("make a temporary folder in", &std::env::temp_dir()))?;
        let port = if self.options.tcp { free_port()? } else { SOCKET_PORT };
        let options = ClusterOptions { dir: None, ..self.options.clone() };
        let programs = self.programs.clone();
        // From here on a failure drops the value, which removes the folder.
        let mut copy = Self { programs, options, folder, user: self.user, port, held: None };
        copy.prepare()?;
        let host = self.folder.to_string_lossy().replace('\\', r"\\").replace('\'', r"\'");
        let from =
            format!("host='{host}' port={} user={SUPERUSER} application_name={name}", self.port);
        let mut command = copy.command("pg_basebackup");
        command.args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", &from, "-D"]);
        command.arg(copy.data());
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        copy.output("pg_basebackup", command).await?;
        copy.run().await?;
        Ok(copy)
    }

    /// Makes this standby a cluster of its own that can be written to.
    pub async fn promote(&self) -> Result<(), ServerError> {
        let promote = format!("SELECT pg_promote(true, {PROMOTED_WITHIN})");
        match self.query("postgres", &promote).await?.as_str() {
            "t" => Ok(()),
            other => Err(failed(format!("not promoted within {PROMOTED_WITHIN} s: {other:?}"))),
        }
    }

    /// Changes a setting of the running server that needs no restart.
    pub async fn set(&self, name: &str, value: &str) -> Result<(), ServerError> {
        let value = value.replace('\'', "''");
        self.query("postgres", &format!("ALTER SYSTEM SET {name} = '{value}'")).await?;
        self.query("postgres", "SELECT pg_reload_conf()").await.map(drop)
    }
}
