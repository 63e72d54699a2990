//! Certificates and handshakes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use forebay::endpoint::HttpVersion;
use forebay::event::StopReason;
use forebay::transport::{Connector, tls_config};
use forebay_sim::{Action, Sim};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::names::{Resolver, Says};
use super::sockets::quick;
use crate::harness::{Ended, Scenario, first_tries, fixed};

pub(super) const HOST: &str = "provider.example";

/// A certificate authority that exists for one test.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// The way of a client that trusts this authority too.
    pub(super) fn trusted(&self) -> Connector {
        Connector::Net(tls_config(Some(self.0.pem().as_bytes())).unwrap())
    }

    /// A server with a certificate for this name.
    pub(super) fn acceptor(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What a server saw.
#[derive(Debug, Default)]
struct Seen {
    connections: AtomicU32,
    /// Handshakes that the client finished; a key is only sent after one.
    handshakes: AtomicU32,
    /// Those of them that agreed on HTTP/2, and those that took up an earlier session.
    h2: AtomicU32,
    resumed: AtomicU32,
}

impl Seen {
    fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    fn handshakes(&self) -> u32 {
        self.handshakes.load(Ordering::Relaxed)
    }

    fn h2(&self) -> u32 {
        self.h2.load(Ordering::Relaxed)
    }

    fn note(&self, session: &rustls::ServerConnection) {
        self.handshakes.fetch_add(1, Ordering::Relaxed);
        if session.alpn_protocol() == Some(b"h2") {
            self.h2.fetch_add(1, Ordering::Relaxed);
        }
        if session.handshake_kind() == Some(rustls::HandshakeKind::Resumed) {
            self.resumed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The same server, which picks the first of these protocols that a client offers.
pub(super) fn offering(acceptor: &TlsAcceptor, names: &[&str]) -> TlsAcceptor {
    let mut config = rustls::ServerConfig::clone(acceptor.config());
    config.alpn_protocols = names.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// What is done with a connection instead of serving it: it is held or dropped.
type Instead = fn(TcpStream) -> Option<TcpStream>;

/// Runs against `https://provider.example`; the first connections are not served.
async fn run(
    scenario: Scenario,
    way: (TlsAcceptor, Connector),
    not_served: (u32, Instead),
) -> (Ended, Arc<Seen>) {
    run_speaking(scenario, way, not_served, HttpVersion::Auto).await
}

async fn run_speaking(
    mut scenario: Scenario,
    (acceptor, connector): (TlsAcceptor, Connector),
    (first, instead): (u32, Instead),
    http: HttpVersion,
) -> (Ended, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sim, seen) = (Sim::new(scenario.sim.clone()), Arc::new(Seen::default()));
    let (server, noted) = (sim.clone(), Arc::clone(&seen));
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((tcp, _)) = listener.accept().await {
            if noted.connections.fetch_add(1, Ordering::Relaxed) < first {
                held.extend(instead(tcp));
                continue;
            }
            let (acceptor, server, noted) = (acceptor.clone(), server.clone(), noted.clone());
            tokio::spawn(async move {
                // A client that goes away in the handshake is what some tests want.
                if let Ok(tls) = acceptor.accept(tcp).await {
                    noted.note(tls.get_ref().1);
                    server.serve_connection(tls).await;
                }
            });
        }
    });
    scenario.network = Some(Resolver::new(&[Says::Address(address)]));
    let mut endpoint = scenario.endpoint();
    endpoint.base_url.tls = true;
    endpoint.base_url.host = HOST.into();
    endpoint.http = http;
    (scenario.run_at(endpoint, sim, connector).await, seen)
}

/// Not to be called: every connection is served.
fn none(tcp: TcpStream) -> Option<TcpStream> {
    Some(tcp)
}

/// Fault 3: stops before anything is sent, and says why, when a certificate does not fit.
#[tokio::test]
async fn a_certificate_that_does_not_fit_stops_at_once() {
    let ours = Authority::new("ours");
    let stranger = Authority::new("a stranger");
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
    };
    let cases = [
        ("UnknownIssuer", stranger.acceptor(HOST, |_| {})),
        ("not valid for name", ours.acceptor("other.example", |_| {})),
        ("expired", ours.acceptor(HOST, expired)),
    ];
    for (why, acceptor) in cases {
        let mut scenario = quick(10);
        scenario.settings.concurrency = fixed(1);
        let (ended, seen) = run(scenario, (acceptor, ours.trusted()), (0, none)).await;
        assert_eq!(ended.summary.stopped, Some(StopReason::Outage), "{why}");
        assert_eq!((ended.summary.pending, ended.summary.failed), (10, 0));
        let example = ended.summary.stop_example.unwrap();
        assert_eq!(example.provider_code.as_deref(), Some("certificate"));
        assert!(example.message.contains(why), "{}", example.message);
        assert!(example.message.contains(HOST), "{}", example.message);
        assert_eq!((seen.connections(), seen.handshakes()), (1, 0), "{why}");
    }
}

/// Fault 3: further certificate authorities are trusted when they are named.
#[tokio::test]
async fn a_named_authority_is_trusted() {
    let authority = Authority::new("ours");
    let acceptor = authority.acceptor(HOST, |_| {});
    let mut scenario = quick(100);
    scenario.settings.concurrency = fixed(20);
    let (ended, seen) = run(scenario, (acceptor, authority.trusted()), (0, none)).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (100, 0));
    assert!(ended.rows.iter().all(|row| row["attempts"] == 1));
    assert!((1..=20).contains(&seen.handshakes()));
}

/// Fault 4: a handshake that stalls or is reset ends by the connect deadline and is tried again.
#[tokio::test]
async fn a_broken_handshake_is_tried_again() {
    let stall: Instead = Some;
    let reset: Instead = |tcp| {
        tcp.set_zero_linger().unwrap();
        None
    };
    let fin: Instead = |_| None;
    for (kind, instead) in [
        ("timeout_connect", stall),
        ("connect", reset),
        ("connect", fin),
    ] {
        let authority = Authority::new("ours");
        let acceptor = authority.acceptor(HOST, |_| {});
        let mut scenario = quick(10);
        scenario.settings.concurrency = fixed(1);
        scenario.settings.timeouts.connect = Duration::from_millis(300);
        let (ended, seen) = run(scenario, (acceptor, authority.trusted()), (2, instead)).await;
        assert_eq!((ended.summary.ok, ended.summary.failed), (10, 0), "{kind}");
        let [(failed, 2)] = ended.summary.failed_attempts[..] else {
            panic!("{:?}", ended.summary.failed_attempts)
        };
        assert_eq!(failed.label(), kind);
        assert_eq!(ended.summary.maybe_billed, 0, "nothing was sent");
        assert_eq!((seen.connections(), seen.handshakes()), (3, 1));
    }
}

/// What a run of 200 items at 50 at a time saw of a server that offers these protocols.
async fn spoken(offered: &[&str], http: HttpVersion) -> (Ended, Arc<Seen>) {
    let authority = Authority::new("ours");
    let acceptor = offering(&authority.acceptor(HOST, |_| {}), offered);
    let mut scenario = quick(200);
    scenario.settings.concurrency = fixed(50);
    scenario.settings.retry.max_attempts = 1;
    run_speaking(scenario, (acceptor, authority.trusted()), (0, none), http).await
}

#[tokio::test]
async fn the_server_picks_the_version_of_http() {
    use HttpVersion::{Auto, Http1, Http2};

    for (offered, http, is_h2) in [
        (&["h2", "http/1.1"][..], Auto, true),
        (&["http/1.1", "h2"], Auto, false),
        (&["http/1.1"], Auto, false),
        (&[], Auto, false),
        (&["h2", "http/1.1"], Http1, false),
        (&["http/1.1", "h2"], Http2, true),
    ] {
        let (ended, seen) = spoken(offered, http).await;
        let what = format!("{offered:?} {http:?}: {seen:?}");
        assert_eq!((ended.summary.ok, ended.summary.failed), (200, 0), "{what}");
        assert!(ended.rows.iter().all(|row| row["attempts"] == 1), "{what}");
        match is_h2 {
            // The first handshake is waited for, and its connection has room for all.
            true => assert_eq!((seen.connections(), seen.h2()), (1, 1), "{what}"),
            false => assert_eq!(seen.h2(), 0, "{what}"),
        }
        assert!(seen.connections() <= 50, "{what}");
    }
}

/// What the server picked in the handshake is no promise: a stream, or all of a connection, may
/// be told to come back with HTTP/1.1.
#[tokio::test]
async fn a_server_that_wants_http1_is_spoken_to_so_from_then_on() {
    for (refuse_every, go_away_after) in [(1, 0), (0, 30), (3, 0)] {
        let authority = Authority::new("ours");
        let acceptor = offering(&authority.acceptor(HOST, |_| {}), &["h2", "http/1.1"]);
        let mut scenario = quick(200);
        scenario.settings.concurrency = fixed(50);
        scenario.settings.retry.max_attempts = 1;
        scenario.sim.http2.http1_required = true;
        scenario.sim.http2.refuse_every = refuse_every;
        scenario.sim.http2.go_away_after = go_away_after;
        let (ended, seen) = run(scenario, (acceptor, authority.trusted()), (0, none)).await;
        assert_eq!(
            (ended.summary.ok, ended.summary.failed),
            (200, 0),
            "{seen:?}"
        );
        assert_eq!(ended.summary.failed_attempts, [], "it costs no attempt");
        assert_eq!(ended.summary.maybe_billed, 0);
        // All began with one connection, and nothing but HTTP/1.1 is offered afterwards.
        assert_eq!(seen.h2(), 1, "{seen:?}");
        assert!((2..=51).contains(&seen.handshakes()), "{seen:?}");
    }
}

#[tokio::test]
async fn a_server_that_wants_http1_gets_none_where_http2_was_asked_for() {
    let authority = Authority::new("ours");
    let acceptor = offering(&authority.acceptor(HOST, |_| {}), &["h2", "http/1.1"]);
    let mut scenario = quick(10);
    scenario.settings.concurrency = fixed(1);
    scenario.sim.http2.http1_required = true;
    scenario.sim.http2.refuse_every = 1;
    let way = (acceptor, authority.trusted());
    let (ended, _) = run_speaking(scenario, way, (0, none), HttpVersion::Http2).await;
    assert_eq!(ended.summary.stopped, Some(StopReason::Outage));
    assert_eq!((ended.summary.pending, ended.summary.maybe_billed), (10, 0));
    let example = ended.summary.stop_example.unwrap();
    assert_eq!(example.provider_code.as_deref(), Some("http_1_1_required"));
}

#[tokio::test]
async fn a_version_that_the_server_does_not_speak_is_no_other_one() {
    for (offered, http) in [
        (&["http/1.1"][..], HttpVersion::Http2),
        (&[], HttpVersion::Http2),
        (&["h2"], HttpVersion::Http1),
    ] {
        let (ended, seen) = spoken(offered, http).await;
        assert_eq!(ended.summary.ok, 0, "{offered:?} {http:?}");
        assert_eq!(ended.sim.stats().received, 0);
        assert_eq!(ended.summary.stopped, Some(StopReason::Outage), "{seen:?}");
        assert_eq!(ended.summary.maybe_billed, 0);
        let example = ended.summary.stop_example.unwrap();
        assert_eq!(example.kind.label(), "connect");
    }
}

/// Faults 3, 4: over HTTP/2 a certificate that does not fit stops at once, and a broken handshake
/// is tried again by all who waited for it.
#[tokio::test]
async fn handshakes_fail_over_http2_as_they_do_without() {
    let (ours, stranger) = (Authority::new("ours"), Authority::new("a stranger"));
    let mut scenario = quick(100);
    scenario.settings.concurrency = fixed(20);
    let acceptor = offering(&stranger.acceptor(HOST, |_| {}), &["h2"]);
    let (ended, seen) = run(scenario, (acceptor, ours.trusted()), (0, none)).await;
    assert_eq!(ended.summary.stopped, Some(StopReason::Outage));
    assert_eq!((ended.summary.pending, ended.summary.failed), (100, 0));
    let example = ended.summary.stop_example.unwrap();
    assert_eq!(example.provider_code.as_deref(), Some("certificate"));
    assert_eq!((seen.connections(), seen.handshakes()), (1, 0));

    let mut scenario = quick(100);
    scenario.settings.concurrency = fixed(20);
    scenario.settings.timeouts.connect = Duration::from_millis(300);
    let acceptor = offering(&ours.acceptor(HOST, |_| {}), &["h2"]);
    let stall: Instead = Some;
    let (ended, seen) = run(scenario, (acceptor, ours.trusted()), (1, stall)).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (100, 0));
    let [(failed, 20)] = ended.summary.failed_attempts[..] else {
        panic!("{:?}", ended.summary.failed_attempts)
    };
    assert_eq!(failed.label(), "timeout_connect");
    assert_eq!((seen.connections(), seen.h2()), (2, 1));
}

#[tokio::test]
async fn later_connections_take_up_the_session_of_earlier_ones() {
    let authority = Authority::new("ours");
    let mut scenario = quick(30);
    scenario.settings.concurrency = fixed(1);
    scenario.sim.script = first_tries(9, |_| Action::CloseAfterAnswer);
    let acceptor = authority.acceptor(HOST, |_| {});
    let (ended, seen) = run(scenario, (acceptor, authority.trusted()), (0, none)).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (30, 0));
    assert_eq!(seen.handshakes(), 30);
    let resumed = seen.resumed.load(Ordering::Relaxed);
    assert_eq!(resumed, 29, "{seen:?}");
}
