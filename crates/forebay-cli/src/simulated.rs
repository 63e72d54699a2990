//! The simulated provider, embedded in a run.

use std::net::{Ipv4Addr, TcpListener};

use forebay::error::Error;
use forebay_sim::{Config, Sim};

/// Starts a simulated provider on a free loopback port, in a thread of its own that ends with
/// the process.
///
/// # Errors
/// When no port or thread can be had.
pub(crate) fn start(config: Config) -> Result<u16, Error> {
    let failed =
        |error: std::io::Error| Error::io(format!("cannot start the simulated provider: {error}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    std::thread::Builder::new()
        .name("sim".into())
        .spawn(move || serve(config, listener))
        .map_err(failed)?;
    Ok(port)
}

/// Serves until the process ends.
///
/// # Errors
/// When the runtime or the listener cannot be set up.
pub(crate) fn serve(config: Config, listener: TcpListener) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        Sim::new(config).serve(listener).await
    })
}
