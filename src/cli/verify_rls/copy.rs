//! What is not run on a target for its size, run on a copy of its schema without rows: a scratch database of the local
//! engine.

use crate::db::connect;
use crate::db::conninfo::Conninfo;
use crate::model::access::Contract;
use crate::model::failure::Failure;
use crate::server::{self, EngineChoice, Regime, local};
use crate::verify::{self, Ground, Options, UNBOUNDED, Verified};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Makes what the target's verification left out, and puts it where it was missing; what was made where, for the header.
/// `None` where nothing was left out.
///
/// # Errors
/// Why there can be no copy.
pub(super) async fn complete(
    conninfo: &Conninfo,
    contract: &Contract,
    options: &Options,
    verified: &mut Verified,
) -> Result<Option<String>, Failure> {
    let left_out = verified.not_run.iter().filter(|not_run| not_run.why == UNBOUNDED);
    let tables: BTreeSet<&str> = left_out.filter_map(|not_run| not_run.what.split('/').next()).collect();
    if tables.is_empty() {
        return Ok(None);
    }
    let only = tables.into_iter().map(|table| format!("{table}/")).collect();
    let session = connect::connect(conninfo).await?;
    let schema = local::schema_of(&session, conninfo).await?;
    session.close().await;
    let digest: String = Sha256::digest(schema.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let scratch = server::scratch(
        EngineChoice::Local,
        Regime::Explicit,
        &format!("a target's schema {digest}"),
        async |session| local::make_schema(session, &schema).await,
    )
    .await?;
    let ground = Ground { target: false, stepwise: false, errors_per_session: None };
    let asked = Options { only, ..options.clone() };
    let copy = verify::verify(contract, ground, &asked, &mut async || scratch.connect().await).await?;
    let made = take(verified, copy, options);
    Ok(Some(format!("; {made} attempts on a copy of its schema without rows ({})", scratch.engine())))
}

/// Takes what the target's verification has not, and says how many attempts that is.
fn take(verified: &mut Verified, copy: Verified, options: &Options) -> usize {
    let known: BTreeSet<String> = verified.attempts.iter().map(|attempt| attempt.id.clone()).collect();
    let mut attempts = copy.attempts;
    attempts.retain(|attempt| !known.contains(&attempt.id) && options.wants(&attempt.id));
    let made: BTreeSet<&String> = attempts.iter().map(|attempt| &attempt.id).collect();
    verified.not_run.retain(|not_run| !made.contains(&not_run.what));
    for mut finding in copy.findings {
        finding.attempts.retain(|id| made.contains(id));
        if finding.attempts.is_empty() {
            continue;
        }
        // The same may have shown on the target already, by another statement.
        match verified.findings.iter_mut().find(|known| known.check == finding.check && known.what == finding.what) {
            Some(known) => known.attempts.append(&mut finding.attempts),
            None => verified.findings.push(finding),
        }
    }
    verified.script = verified.script.take().or(copy.script);
    let made = attempts.len();
    verified.attempts.append(&mut attempts);
    made
}
