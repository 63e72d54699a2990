//! The simulated provider, embedded in a run.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use forebay::error::Error;
use forebay_sim::{Config, Sim};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit_code::Exit;

/// Connections that may wait to be accepted: as many as Linux allows by itself
/// (`net.core.somaxconn`). The standard library asks for 128, which those who open thousands at
/// once overrun.
const BACKLOG: i32 = 4096;

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

/// Listens on a loopback port; 0 picks a free one.
///
/// # Errors
/// When the port is in use or cannot be told.
pub(crate) fn listen(port: u16) -> Result<(TcpListener, SocketAddr), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
        Error::io(format!("cannot listen on 127.0.0.1:{port}: {error}"))
            .with_hint("choose another --port, or 0 for a free one")
    })?;
    let address = listener
        .local_addr()
        .map_err(|error| Error::io(format!("the port cannot be told: {error}")))?;
    Ok((listener, address))
}

/// Serves until the process ends.
///
/// # Errors
/// When the runtime or the listener cannot be set up.
fn serve(config: Config, listener: TcpListener) -> std::io::Result<()> {
    block_on(async move {
        let listener = from_std(listener)?;
        Sim::new(config).serve(listener).await
    })
}

/// Serves until a signal ends it, and leaves its log whole.
///
/// # Errors
/// When the runtime or the listener cannot be set up, or the log cannot be written.
pub(crate) fn serve_alone(config: Config, listener: TcpListener) -> std::io::Result<Exit> {
    block_on(async move {
        let listener = from_std(listener)?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let sim = Sim::new(config);
        let exit = tokio::select! {
            served = sim.serve(listener) => return served.map(|()| Exit::Ok),
            _ = interrupt.recv() => Exit::Interrupted,
            _ = terminate.recv() => Exit::Terminated,
        };
        // A judge would miss the records of the last moment.
        sim.flush_log().map_err(|error| {
            std::io::Error::new(error.kind(), format!("its log cannot be written: {error}"))
        })?;
        Ok(exit)
    })
}

fn block_on<T>(work: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build()?.block_on(work)
}

/// The listener in the runtime that this is called in.
fn from_std(listener: TcpListener) -> std::io::Result<tokio::net::TcpListener> {
    // A socket that listens already gets a longer queue.
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}
