//! `forebay sim proxy`: a bad network between a client and a server.
//!
//! Owns the target's name and the listener. Never looks at what passes.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::Arc;

use forebay::endpoint::BaseUrl;
use forebay::error::Error;
use forebay_sim::proxy::{Direction, Proxy, ProxyConfig, Slice};

use crate::args::{DirectionArg, ProxyArgs};
use crate::exit_code::Exit;

/// Passes connections on until the process is killed.
///
/// # Errors
/// When the target has no address, or the port cannot be opened.
pub(crate) fn run(args: &ProxyArgs) -> Result<Exit, Error> {
    let target = target(&args.to)?;
    let (listener, address) = crate::simulated::listen(args.port)?;
    // Programs that started the proxy read its port from this line.
    println!("forebay sim proxy listens on http://{address} for {target}");
    serve(config(args), listener, target)
        .map(|()| Exit::Ok)
        .map_err(|error| Error::io(format!("the proxy ended: {error}")))
}

fn config(args: &ProxyArgs) -> ProxyConfig {
    ProxyConfig {
        seed: args.seed,
        latency: args.latency,
        jitter: args.jitter,
        bandwidth: args.bandwidth,
        slice: args.slice.map(|(size, delay)| Slice { size, delay }),
        reset_after: args.reset_after,
        limit_data: args.limit_data,
        timeout: args.timeout,
        down: args.down,
        slow_close: args.slow_close,
        direction: match args.direction {
            DirectionArg::Up => Direction::Up,
            DirectionArg::Down => Direction::Down,
            DirectionArg::Both => Direction::Both,
        },
        toxicity: args.toxicity,
    }
}

/// The first address of `HOST:PORT` or of a URL's host.
fn target(text: &str) -> Result<SocketAddr, Error> {
    let (host, port) = match text.contains("://") {
        true => {
            let url = BaseUrl::parse(text)?;
            (url.host, url.port)
        }
        false => {
            let pair = text.rsplit_once(':').and_then(|(host, port)| {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                Some((host.to_owned(), port.parse().ok()?))
            });
            pair.ok_or_else(|| {
                Error::config(format!("--to {text:?} is neither HOST:PORT nor a URL"))
            })?
        }
    };
    let unknown = |why: &str| Error::config(format!("no address for {host}: {why}"));
    let mut found = (host.as_str(), port)
        .to_socket_addrs()
        .map_err(|error| unknown(&error.to_string()))?;
    found.next().ok_or_else(|| unknown("it has none"))
}

fn serve(config: ProxyConfig, listener: TcpListener, target: SocketAddr) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        Arc::new(Proxy::new(config)).serve(listener, target).await
    })
}
