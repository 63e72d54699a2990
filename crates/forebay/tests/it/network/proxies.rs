//! Proxies between the transport and the provider, good ones and bad ones.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay::endpoint::{Endpoint, HttpVersion};
use forebay::event::StopReason;
use forebay::transport::{Asked, Connector, MemoryConnector, Network, Proxies};
use forebay_sim::{Action, Sim};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::sockets::{net, on_loopback, quick};
use super::tls::{Authority, HOST, offering};
use crate::harness::{Ended, KEY, Scenario, first_tries, fixed, prompts};

/// The log-in of the tests, and what it looks like in a request.
const LOGIN: &str = "me:hidden-word";
const AUTHORIZATION: &str = "proxy-authorization: Basic bWU6aGlkZGVuLXdvcmQ=";

/// What a proxy does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Opens tunnels.
    Opens,
    /// The same for those who log in.
    Asks,
    /// Takes requests for plain http, and opens no tunnels.
    Forwards,
    /// Speaks SOCKS.
    Socks,
    /// The same with those who log in.
    AsksSocks,
    /// Reads, and says this.
    Says(&'static [u8]),
    /// Says so many bytes that never end.
    Endless(usize),
    /// Reads, and says nothing.
    Hangs,
    /// Reads, and ends the connection.
    HangsUp,
    /// Opens a tunnel and ends it after so many bytes of the client.
    Dies(u64),
}

/// A proxy; what it does first and from then on.
#[derive(Clone)]
struct Stand {
    first: Does,
    then: Does,
    sim: Sim,
    /// The provider has TLS.
    tls: Option<TlsAcceptor>,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicU32,
    /// What clients said first.
    heads: Mutex<Vec<String>>,
}

impl Seen {
    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Stand {
    fn new(scenario: &Scenario, (first, then): (Does, Does)) -> Stand {
        Stand {
            first,
            then,
            sim: Sim::new(scenario.sim.clone()),
            tls: None,
            seen: Arc::default(),
        }
    }

    /// Serves one connection; a client that goes away ends it.
    async fn serve<S>(self, mut client: S) -> Option<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let n = self.seen.connections.fetch_add(1, Ordering::Relaxed);
        let does = if n == 0 { self.first } else { self.then };
        if matches!(does, Does::Socks | Does::AsksSocks) {
            let name = socks(&mut client, does == Does::AsksSocks).await?;
            self.seen.heads.lock().unwrap().push(name);
            return self.provide(client).await;
        }
        let head = head_of(&mut client).await?;
        self.seen.heads.lock().unwrap().push(head.clone());
        let is_known = head.to_lowercase().contains(&AUTHORIZATION.to_lowercase());
        let said: &[u8] = match does {
            Does::Opens | Does::Dies(_) => b"HTTP/1.1 200 Connection established\r\n\r\n",
            Does::Asks if is_known => b"HTTP/1.0 200 OK\r\nVia: test\r\n\r\n",
            Does::Asks => b"HTTP/1.1 407 Who are you?\r\nContent-Length: 3\r\n\r\nno\n",
            Does::Forwards if head.starts_with("CONNECT") => b"HTTP/1.1 403 No\r\n\r\n",
            Does::Forwards => return self.forward(client, head).await,
            Does::Says(bytes) => bytes,
            Does::Endless(n) => {
                client
                    .write_all(b"HTTP/1.1 200 OK\r\nx-filler: ")
                    .await
                    .ok()?;
                for _ in 0..n / 1000 {
                    client.write_all(&[b'a'; 1000]).await.ok()?;
                }
                return std::future::pending().await;
            }
            Does::Hangs => return std::future::pending().await,
            Does::HangsUp | Does::Socks | Does::AsksSocks => return None,
        };
        client.write_all(said).await.ok()?;
        match does {
            Does::Dies(after) => {
                let mut server = self.sim.connect();
                let mut part = (&mut client).take(after);
                tokio::io::copy(&mut part, &mut server).await.ok()?;
                None
            }
            Does::Says(_) => std::future::pending().await,
            _ => self.provide(client).await,
        }
    }

    async fn provide<S>(self, client: S) -> Option<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match self.tls {
            None => self.sim.serve_connection(client).await,
            Some(tls) => {
                self.sim
                    .serve_connection(tls.accept(client).await.ok()?)
                    .await
            }
        }
        Some(())
    }

    /// Carries requests on under their path alone.
    async fn forward<S>(self, client: S, mut head: String) -> Option<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let (mut from_server, mut to_server) = tokio::io::split(self.sim.connect());
        tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        loop {
            let path = head.replacen("http://sim.local/", "/", 1);
            to_server.write_all(path.as_bytes()).await.ok()?;
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let mut body = (&mut from_client).take(length?.parse().ok()?);
            tokio::io::copy(&mut body, &mut to_server).await.ok()?;
            head = head_of(&mut from_client).await?;
            self.seen.heads.lock().unwrap().push(head.clone());
        }
    }
}

/// All up to an empty line.
async fn head_of(client: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// The handshake of SOCKS; where the client wants to go.
async fn socks(client: &mut (impl AsyncRead + AsyncWrite + Unpin), asks: bool) -> Option<String> {
    let n = match [client.read_u8().await.ok()?, client.read_u8().await.ok()?] {
        [5, n] => n,
        _ => return None,
    };
    let mut methods = vec![0; n.into()];
    client.read_exact(&mut methods).await.ok()?;
    let chosen = if asks { 2 } else { 0 };
    if !methods.contains(&chosen) {
        client.write_all(&[5, 0xff]).await.ok()?;
        return None;
    }
    client.write_all(&[5, chosen]).await.ok()?;
    if asks {
        assert_eq!(client.read_u8().await.ok()?, 1);
        let login = [text(client).await?, text(client).await?].join(":");
        let status = u8::from(login != LOGIN);
        client.write_all(&[1, status]).await.ok()?;
        if status != 0 {
            return None;
        }
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await.ok()?;
    assert_eq!(request, [5, 1, 0, 3], "a connection to a name");
    let name = text(client).await?;
    let port = client.read_u16().await.ok()?;
    client
        .write_all(&[5, 0, 0, 1, 10, 0, 0, 1, 0, 80])
        .await
        .ok()?;
    Some(format!("{name}:{port}"))
}

async fn text(client: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = vec![0; client.read_u8().await.ok()?.into()];
    client.read_exact(&mut text).await.ok()?;
    String::from_utf8(text).ok()
}

/// Ten items, one at a time.
fn scenario() -> Scenario {
    let mut scenario = Scenario {
        prompts: prompts(10),
        ..Scenario::default()
    };
    scenario.settings.concurrency = fixed(1);
    scenario
}

/// An endpoint whose proxy is asked for tunnels; pipes carry no TLS.
fn https(mut endpoint: Endpoint) -> Endpoint {
    endpoint.base_url.tls = true;
    endpoint.base_url.port = 443;
    endpoint
}

/// Runs over pipes, in paused time, through a proxy that does this.
async fn run(
    mut scenario: Scenario,
    endpoint: Endpoint,
    (proxy, does): (&str, (Does, Does)),
) -> (Ended, Arc<Seen>) {
    let stand = Stand::new(&scenario, does);
    let (sim, seen) = (stand.sim.clone(), Arc::clone(&stand.seen));
    let pipes = MemoryConnector::new(move |pipe| {
        tokio::spawn(stand.clone().serve(pipe));
    });
    scenario.proxies = Proxies::all(proxy).unwrap();
    let ended = scenario
        .run_at(endpoint, sim, Connector::Memory(pipes))
        .await;
    (ended, seen)
}

fn all_well(ended: &Ended) {
    assert_eq!((ended.summary.ok, ended.summary.failed), (10, 0));
    assert_eq!(ended.summary.failed_attempts, []);
    assert_eq!(ended.summary.maybe_billed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_is_asked_for_by_the_provider_s_name() {
    let endpoint = https(scenario().endpoint());
    let way = ("http://proxy.example:3128", (Does::Opens, Does::Opens));
    let (ended, seen) = run(scenario(), endpoint, way).await;
    all_well(&ended);
    let heads = ["CONNECT sim.local:443 HTTP/1.1\r\nhost: sim.local:443\r\n\r\n"];
    assert_eq!(seen.heads(), heads, "one tunnel, and no key outside of it");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_asks_who_it_is_is_told() {
    let login = |place| format!("{place}//{LOGIN}@proxy.example");
    for (proxy, does) in [
        (login("http:"), Does::Asks),
        (login("socks5:"), Does::AsksSocks),
    ] {
        let endpoint = https(scenario().endpoint());
        let (ended, seen) = run(scenario(), endpoint, (&proxy, (does, does))).await;
        all_well(&ended);
        let [head] = &seen.heads()[..] else {
            panic!("{:?}", seen.heads())
        };
        assert!(
            head.contains("sim.local:443") && !head.contains(KEY),
            "{head}"
        );
    }
}

/// Squid as it is shipped opens tunnels to port 443 only.
#[tokio::test(start_paused = true)]
async fn requests_without_tls_are_given_to_the_proxy_whole() {
    let endpoint = scenario().endpoint();
    let proxy = format!("http://{LOGIN}@proxy.example:3128");
    let does = (Does::Forwards, Does::Forwards);
    let (ended, seen) = run(scenario(), endpoint, (&proxy, does)).await;
    all_well(&ended);
    let heads = seen.heads();
    assert_eq!(
        (heads.len(), seen.connections.load(Ordering::Relaxed)),
        (10, 1)
    );
    for head in heads {
        let line = "POST http://sim.local/v1/chat/completions HTTP/1.1\r\n";
        assert!(head.starts_with(line), "{head}");
        assert!(head.contains("host: sim.local\r\n") && head.contains(AUTHORIZATION));
    }
}

#[tokio::test(start_paused = true)]
async fn without_tls_http2_and_socks_get_a_way_too() {
    for (proxy, does, http) in [
        ("http://proxy", Does::Opens, HttpVersion::Http2),
        ("socks5h://proxy", Does::Socks, HttpVersion::Http1),
        ("socks5://proxy", Does::Socks, HttpVersion::Http2),
    ] {
        let mut scenario = scenario();
        scenario.settings.concurrency = fixed(10);
        let mut endpoint = scenario.endpoint();
        endpoint.http = http;
        let (ended, seen) = run(scenario, endpoint, (proxy, (does, does))).await;
        all_well(&ended);
        let connections = seen.connections.load(Ordering::Relaxed);
        let most = if http == HttpVersion::Http2 { 1 } else { 10 };
        assert!((1..=most).contains(&connections), "{proxy}: {connections}");
        assert!(
            seen.heads()
                .iter()
                .all(|head| head.contains("sim.local:80"))
        );
    }
}

/// What will not change by asking again stops a run before anything is sent, and says why.
#[tokio::test(start_paused = true)]
async fn a_proxy_that_says_no_stops_at_once() {
    let known = format!("http://{LOGIN}@proxy");
    let stranger = "http://me:another-word@proxy";
    for (proxy, does, (code, words)) in [
        (
            "http://proxy",
            Does::Asks,
            ("proxy_login", "wants a user and a password (407)"),
        ),
        (
            stranger,
            Does::Asks,
            ("proxy_login", "does not take the user and password"),
        ),
        (
            &known,
            Does::Says(b"HTTP/1.1 403 No\r\n\r\n"),
            ("proxy_refused", "(403)"),
        ),
        (
            "socks5://proxy",
            Does::AsksSocks,
            ("proxy_login", "wants a user"),
        ),
        (
            "socks5://me:another-word@proxy",
            Does::AsksSocks,
            ("proxy_login", "does not take"),
        ),
    ] {
        let endpoint = https(scenario().endpoint());
        let (ended, seen) = run(scenario(), endpoint, (proxy, (does, does))).await;
        let Ended { summary, sim, .. } = &ended;
        assert_eq!(summary.stopped, Some(StopReason::Outage), "{proxy}");
        assert_eq!(
            (summary.pending, summary.failed, summary.maybe_billed),
            (10, 0, 0)
        );
        assert_eq!(
            (
                sim.stats().received,
                seen.connections.load(Ordering::Relaxed)
            ),
            (0, 1)
        );
        let example = summary.stop_example.as_ref().unwrap();
        assert_eq!(example.provider_code.as_deref(), Some(code), "{example:?}");
        assert!(example.message.contains(words), "{example:?}");
        assert!(example.message.contains("proxy:"), "{example:?}");
        assert!(!format!("{example:?}").contains("word@"), "{example:?}");
    }
}

/// A proxy without TLS that wants to know who asks says so in its answer to the request itself.
#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_proxy_is_none_of_the_provider() {
    let endpoint = scenario().endpoint();
    let (ended, _) = run(
        scenario(),
        endpoint,
        ("http://proxy", (Does::Asks, Does::Asks)),
    )
    .await;
    assert_eq!(ended.summary.stopped, Some(StopReason::Outage));
    assert_eq!((ended.summary.pending, ended.summary.maybe_billed), (10, 0));
    let example = ended.summary.stop_example.unwrap();
    assert_eq!(example.provider_code.as_deref(), Some("proxy_login"));
}

/// What may pass costs an attempt, and nothing was sent.
#[tokio::test(start_paused = true)]
async fn a_proxy_that_fails_is_tried_again() {
    let http = ("http://proxy", Does::Opens);
    let socks = ("socks5://proxy", Does::Socks);
    for ((proxy, well), does, label) in [
        (
            http,
            Does::Says(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"),
            "connect",
        ),
        (http, Does::Says(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), "connect"),
        (http, Does::Endless(100_000), "connect"),
        (http, Does::HangsUp, "connect"),
        (http, Does::Hangs, "timeout_connect"),
        // Half a head.
        (http, Does::Says(b"HTTP/1.1 200 OK\r\n"), "timeout_connect"),
        (socks, Does::HangsUp, "timeout_connect"),
    ] {
        let mut scenario = scenario();
        scenario.settings.timeouts.connect = Duration::from_secs(5);
        let endpoint = https(scenario.endpoint());
        let (ended, seen) = run(scenario, endpoint, (proxy, (does, well))).await;
        assert_eq!(
            (ended.summary.ok, ended.summary.failed),
            (10, 0),
            "{does:?}"
        );
        let [(failed, 1)] = ended.summary.failed_attempts[..] else {
            panic!("{does:?}: {:?}", ended.summary.failed_attempts)
        };
        assert_eq!(failed.label(), label, "{does:?}");
        assert_eq!(ended.summary.maybe_billed, 0, "{does:?}");
        assert_eq!(seen.connections.load(Ordering::Relaxed), 2, "{does:?}");
    }
}

/// What a SOCKS proxy may say that is not yes.
#[tokio::test(start_paused = true)]
async fn each_answer_of_socks_is_told_from_yes() {
    for (said, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "not SOCKS 5"),
        (b"\x05\x02", "not SOCKS 5"),
        (b"\x05\xff", "wants a user and a password"),
        (b"\x05\x00\x05\x02\x00\x01", "its rules do not allow it"),
        (b"\x05\x00\x05\x05\x00\x01", "the connection was refused"),
        (b"\x05\x00\x05\x63\x00\x01", "code 99"),
        (b"\x05\x00\x05\x00\x00\x09", "not SOCKS 5"),
        (b"\x05\x00\x04\x00\x00\x01", "not SOCKS 5"),
    ] {
        let mut scenario = scenario();
        scenario.settings.retry.max_attempts = 1;
        scenario.settings.retry.max_outage = Duration::from_secs(1);
        let endpoint = https(scenario.endpoint());
        let pipes = MemoryConnector::new(move |mut pipe| {
            tokio::spawn(async move {
                pipe.write_all(said).await.unwrap();
                std::future::pending::<()>().await;
            });
        });
        scenario.proxies = Proxies::all("socks5://proxy").unwrap();
        let sim = Sim::new(scenario.sim.clone());
        let ended = scenario
            .run_at(endpoint, sim, Connector::Memory(pipes))
            .await;
        assert_eq!((ended.summary.ok, ended.summary.maybe_billed), (0, 0));
        let message = &ended.summary.stop_example.unwrap().message;
        assert!(message.contains(words), "{said:?}: {message}");
        assert!(
            message.contains("the proxy socks5h://proxy:1080"),
            "{message}"
        );
    }
}

/// A tunnel that ends is a connection that ends.
#[tokio::test(start_paused = true)]
async fn a_proxy_that_dies_midway_is_a_cut_connection() {
    let endpoint = https(scenario().endpoint());
    let way = ("http://proxy", (Does::Dies(150), Does::Opens));
    let (ended, _) = run(scenario(), endpoint, way).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (10, 0));
    let [(failed, 1)] = ended.summary.failed_attempts[..] else {
        panic!("{:?}", ended.summary.failed_attempts)
    };
    assert_eq!(failed.label(), "truncated");
    assert_eq!(ended.summary.maybe_billed, 1);
}

/// What is on this machine is on another one for a proxy.
#[tokio::test]
async fn this_machine_is_asked_directly() {
    let mut scenario = quick(10);
    scenario.proxies = Proxies::all("http://192.0.2.1:3128").unwrap();
    let (endpoint, sim) = on_loopback(&scenario).await;
    let ended = scenario.run_at(endpoint, sim, net()).await;
    all_well(&ended);
}

/// Knows the address of one name only.
#[derive(Debug)]
struct OneName(&'static str, std::net::SocketAddr);

impl Network for OneName {
    fn resolve<'a>(&'a self, host: &'a str, _: u16) -> Asked<'a, Vec<std::net::SocketAddr>> {
        assert_eq!(
            host, self.0,
            "the provider's name is the proxy's to look up"
        );
        Box::pin(async move { Ok(vec![self.1]) })
    }
}

/// A hundred items through a proxy on a socket to a provider with TLS that offers these versions.
async fn run_tls(proxy: &str, offered: &[&str], http: HttpVersion) -> (Ended, Arc<Seen>) {
    let mut scenario = quick(100);
    scenario.settings.concurrency = fixed(20);
    let authority = Authority::new("ours");
    let provider = authority.acceptor(HOST, |_| {});
    let mut stand = Stand::new(&scenario, (Does::Asks, Does::Asks));
    stand.tls = Some(offering(&provider, offered));
    let own = authority.acceptor("proxy.example", |_| {});
    let is_tls = proxy.starts_with("https");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    scenario.network = Some(Arc::new(OneName(
        "proxy.example",
        listener.local_addr().unwrap(),
    )));
    let (sim, seen) = (stand.sim.clone(), Arc::clone(&stand.seen));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (stand, own) = (stand.clone(), own.clone());
            tokio::spawn(async move {
                match is_tls {
                    true => stand.serve(own.accept(tcp).await.ok()?).await,
                    false => stand.serve(tcp).await,
                }
            });
        }
    });
    scenario.proxies = Proxies::all(proxy).unwrap();
    let mut endpoint = https(scenario.endpoint());
    endpoint.base_url.host = HOST.into();
    endpoint.http = http;
    (
        scenario.run_at(endpoint, sim, authority.trusted()).await,
        seen,
    )
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_with_the_version_that_the_provider_picks() {
    for scheme in ["http", "https"] {
        for (offered, most) in [(&["h2", "http/1.1"][..], 1), (&["http/1.1"], 20)] {
            let proxy = format!("{scheme}://{LOGIN}@proxy.example:3128");
            let (ended, seen) = run_tls(&proxy, offered, HttpVersion::Auto).await;
            assert_eq!((ended.summary.ok, ended.summary.failed), (100, 0));
            assert_eq!(ended.summary.failed_attempts, []);
            let heads = seen.heads();
            assert!((1..=most).contains(&heads.len()), "{offered:?}: {heads:?}");
            for head in heads {
                assert!(head.starts_with("CONNECT provider.example:443 "), "{head}");
                assert!(!head.contains(KEY), "{head}");
            }
        }
    }
}

/// A request that the provider has seen is not taken for one that the proxy refused.
#[tokio::test(start_paused = true)]
async fn failures_of_the_provider_are_its_own_behind_a_proxy() {
    let mut scenario = scenario();
    scenario.sim.script = first_tries(1, |_| Action::Reset);
    let endpoint = https(scenario.endpoint());
    let way = ("http://proxy", (Does::Opens, Does::Opens));
    let (ended, _) = run(scenario, endpoint, way).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (10, 0));
    assert_eq!(ended.summary.maybe_billed, 10);
}
