//! The ways out of the process: the connector, the runtime, and the embedded simulator.

use std::io::Write as _;

use forebay::error::Error;
use forebay::transport::{Connector, tls_config};

use crate::plan::Server;
use crate::{env_vars, simulated};

/// The way to the network, with the user's own certificate authorities.
///
/// # Errors
/// When their file cannot be used.
pub(crate) fn connector() -> Result<Connector, Error> {
    let roots = match env_vars::read(env_vars::SSL_CERT_FILE) {
        Some(path) => Some(std::fs::read(&path).map_err(|error| {
            Error::config(format!("cannot read {path} (SSL_CERT_FILE): {error}"))
                .with_hint("correct the variable or unset it")
        })?),
        None => None,
    };
    Ok(Connector::Net(tls_config(roots.as_deref())?))
}

/// A runtime with one thread.
///
/// # Errors
/// When the system gives none.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io(format!("cannot start: {error}")))
}

/// Does this work in a runtime of its own.
///
/// # Errors
/// When the system gives no runtime.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = runtime()?;
    let done = runtime.block_on(work);
    // A name look-up that hangs must not hold up the end.
    runtime.shutdown_background();
    Ok(done)
}

/// Starts the simulated provider when this server is to be it, and says so unless `quiet`.
///
/// # Errors
/// When no port or thread can be had.
pub(crate) fn start_simulator(server: &mut Server, quiet: bool) -> Result<(), Error> {
    if !server.is_simulated() {
        return Ok(());
    }
    server.set_port(simulated::start(forebay_sim::Config::default())?);
    if !quiet {
        // Nobody may be reading standard error; the answers matter more.
        let _ = writeln!(
            std::io::stderr(),
            "forebay: the answers are simulated (sim/ model): no provider is asked"
        );
    }
    Ok(())
}
