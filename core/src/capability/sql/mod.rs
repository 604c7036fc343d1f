//! `wardian:model/sql`: the tenant's own database.
//!
//! A guest passes only statements. It cannot name a file, a user or another tenant, because the
//! database is fixed when its version loads. The statements of a call that validates a version go
//! to the transaction of that validation instead ([`ValidationTransaction`]), in which its
//! migrations have already run.
//!
//! An instance has at most one transaction, which ends with the call that began it.

mod convert;

use std::sync::Arc;

use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiView;

use super::wasi::Wasi;
use super::{Ctx, CtxView, Grant, HasCtx, HostCapability};
use crate::database::{
    CpuMeter, Database, Fetch, NestedTransaction, SqlError, Statement, StatementResult,
    Transaction, ValidationTransaction,
};
use crate::model::Capability;
use bindings::wardian::model::sql;

mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package wardian:host;
            world database {
                import wardian:model/sql@0.1.0;
            }
        ",
        world: "wardian:host/database",
        imports: { default: async | trappable },
        with: { "wardian:model/sql@0.1.0.transaction": super::OpenTransaction },
    });
}

impl HostCapability for SqlState {
    const IMPORTS: &'static [&'static str] = &["wardian:model/sql"];

    const GRANT: Option<Grant> = Some(Grant {
        capability: Capability::Sql,
        refusal: "which is not granted; say so in the model.toml of its folder, as in [capabilities] sql = true",
    });

    fn add_to_linker<T: CtxView + WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        sql::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())
    }

    fn holds_resources(ctx: &Ctx) -> bool {
        ctx.sql.open
    }
}

/// The database state of an instance.
#[derive(Default)]
pub(super) struct SqlState {
    cpu_meter: CpuMeter,
    /// A transaction is open.
    open: bool,
}

/// An open transaction of a guest. Dropping it rolls it back.
#[allow(unreachable_pub)] // The generated code exports it.
pub enum OpenTransaction {
    /// A transaction of its own.
    Own(Transaction),
    /// A transaction nested in the validation of its version.
    InValidation(NestedTransaction),
}

/// The destination of a call's statements.
enum Target {
    Database(Arc<Database>),
    Validation(Arc<ValidationTransaction>),
}

type HostResult<T> = wasmtime::Result<Result<T, sql::SqlError>>;

impl sql::Host for Ctx {
    async fn query(
        &mut self,
        statement: String,
        parameters: Vec<sql::Value>,
    ) -> HostResult<sql::Rows> {
        let outcome = self.run_statement(statement, parameters, Fetch::Rows).await;
        Ok(outcome.map(sql::Rows::from).map_err(sql::SqlError::from))
    }

    async fn execute(&mut self, statement: String, parameters: Vec<sql::Value>) -> HostResult<u64> {
        let outcome = self.run_statement(statement, parameters, Fetch::Count).await;
        Ok(outcome.map(|outcome| outcome.changed).map_err(sql::SqlError::from))
    }
}

impl sql::HostTransaction for Ctx {
    async fn begin(&mut self) -> HostResult<Resource<OpenTransaction>> {
        match self.begin_transaction().await {
            Ok(open) => {
                let resource = self.table().push(open)?;
                self.sql.open = true;
                Ok(Ok(resource))
            }
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn query(
        &mut self,
        this: Resource<OpenTransaction>,
        text: String,
        parameters: Vec<sql::Value>,
    ) -> HostResult<sql::Rows> {
        let outcome =
            self.table().get(&this)?.run(convert::statement(text, parameters), Fetch::Rows).await;
        Ok(outcome.map(sql::Rows::from).map_err(sql::SqlError::from))
    }

    async fn execute(
        &mut self,
        this: Resource<OpenTransaction>,
        text: String,
        parameters: Vec<sql::Value>,
    ) -> HostResult<u64> {
        let outcome =
            self.table().get(&this)?.run(convert::statement(text, parameters), Fetch::Count).await;
        Ok(outcome.map(|outcome| outcome.changed).map_err(sql::SqlError::from))
    }

    async fn commit(&mut self, this: Resource<OpenTransaction>) -> HostResult<()> {
        let outcome = self.close_transaction(this)?.commit().await;
        Ok(outcome.map_err(sql::SqlError::from))
    }

    async fn rollback(&mut self, this: Resource<OpenTransaction>) -> HostResult<()> {
        drop(self.close_transaction(this)?);
        Ok(Ok(()))
    }

    async fn drop(&mut self, this: Resource<OpenTransaction>) -> wasmtime::Result<()> {
        self.close_transaction(this).map(drop)
    }
}

impl Ctx {
    /// Takes the CPU time of the call's statements since the last time it was taken.
    pub fn take_sql_cpu_time(&self) -> std::time::Duration {
        self.sql.cpu_meter.take()
    }

    async fn run_statement(
        &mut self,
        text: String,
        parameters: Vec<sql::Value>,
        fetch: Fetch,
    ) -> Result<StatementResult, SqlError> {
        let statement = convert::statement(text, parameters);
        match self.target()? {
            // A write outside of the open transaction would wait for it forever.
            _ if self.sql.open && fetch == Fetch::Count => Err(SqlError::Busy),
            Target::Database(database) => database.run(statement, fetch, &self.sql.cpu_meter).await,
            Target::Validation(transaction) => transaction.run(statement, fetch).await,
        }
    }

    async fn begin_transaction(&mut self) -> Result<OpenTransaction, SqlError> {
        match self.target()? {
            _ if self.sql.open => Err(SqlError::Busy),
            Target::Database(database) => {
                database.begin(&self.sql.cpu_meter).await.map(OpenTransaction::Own)
            }
            Target::Validation(transaction) => {
                transaction.nested().await.map(OpenTransaction::InValidation)
            }
        }
    }

    fn target(&self) -> Result<Target, SqlError> {
        if self.loading {
            let why = "a model has no database while it loads: its memory is kept for every instance, so ask in infer";
            return Err(SqlError::Denied(why.into()));
        }

        match (&self.call.validation_transaction, &self.grants.sql) {
            (Some(transaction), Some(_)) => Ok(Target::Validation(transaction.clone())),
            (None, Some(database)) => Ok(Target::Database(database.clone())),
            (_, None) => {
                Err(SqlError::Denied("the model's [capabilities] do not grant sql".into()))
            }
        }
    }

    fn close_transaction(
        &mut self,
        this: Resource<OpenTransaction>,
    ) -> wasmtime::Result<OpenTransaction> {
        self.sql.open = false;
        Ok(self.table().delete(this)?)
    }

    fn table(&mut self) -> &mut wasmtime::component::ResourceTable {
        let Ctx { wasi, grants, call_log, .. } = self;
        wasi.get_or_insert_with(|| Box::new(Wasi::new(grants, call_log))).table()
    }
}

impl OpenTransaction {
    async fn run(&self, statement: Statement, fetch: Fetch) -> Result<StatementResult, SqlError> {
        match self {
            OpenTransaction::Own(transaction) => transaction.run(statement, fetch).await,
            OpenTransaction::InValidation(nested) => nested.run(statement, fetch).await,
        }
    }

    async fn commit(self) -> Result<(), SqlError> {
        match self {
            OpenTransaction::Own(transaction) => transaction.commit().await,
            OpenTransaction::InValidation(nested) => nested.commit().await,
        }
    }
}
