//! Opening connections: what kind, and TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::memory::MemoryConnector;
use super::network::{Socketed, Way};
use super::proxy::Proxy;
use super::timings::Opening;
use crate::endpoint::{BaseUrl, HttpVersion};
use crate::error::Error;
use crate::outcome::{Failure, FailureKind};

/// How connections come about.
#[derive(Debug, Clone)]
pub enum Connector {
    /// TCP, with TLS for `https` origins.
    Net(Arc<rustls::ClientConfig>),
    /// Pipes to a server in the same process.
    Memory(MemoryConnector),
}

/// The TLS settings: the certificate authorities that browsers trust, and further ones.
///
/// # Errors
/// When an extra certificate cannot be used.
pub fn tls_config(extra_roots_pem: Option<&[u8]>) -> Result<Arc<rustls::ClientConfig>, Error> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(pem) = extra_roots_pem {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate
                .map_err(|error| Error::config(format!("bad certificate file: {error}")))?;
            // A system's bundle may hold a few that are not fit for TLS; the rest still count.
            let _ = roots.add(certificate);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::config(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A transport replaces them by those of the version that it is to speak.
    config.alpn_protocols = protocols(HttpVersion::Auto);
    Ok(Arc::new(config))
}

/// What a client offers in the TLS handshake, the best first.
fn protocols(version: HttpVersion) -> Vec<Vec<u8>> {
    let names: &[&[u8]] = match version {
        HttpVersion::Auto => &[H2, b"http/1.1"],
        HttpVersion::Http1 => &[b"http/1.1"],
        HttpVersion::Http2 => &[H2],
    };
    names.iter().map(|name| name.to_vec()).collect()
}

/// The name of HTTP/2 in the TLS handshake (RFC 9113, section 3.2).
const H2: &[u8] = b"h2";

/// Why there is no connection.
#[derive(Debug, Clone)]
pub(super) struct Unconnected {
    pub(super) failure: Failure,
    /// The machine lacks descriptors or ports: waiting helps, for as long as this.
    pub(super) wait: Option<Duration>,
}

impl From<Failure> for Unconnected {
    fn from(failure: Failure) -> Unconnected {
        Unconnected {
            failure,
            wait: None,
        }
    }
}

/// A connected byte stream, and how it came about.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) stream: Stream,
    pub(super) opening: Opening,
    /// Whether both sides are to speak HTTP/2.
    pub(super) is_h2: bool,
}

impl Connector {
    /// The same connector, which offers this version of HTTP in handshakes.
    pub(super) fn speaking(self, version: HttpVersion) -> Connector {
        match self {
            Connector::Memory(memory) => Connector::Memory(memory),
            Connector::Net(tls) => Connector::Net(offering(&tls, version)),
        }
    }

    /// Connects to an origin; through a proxy when there is one, which is asked for the way unless
    /// `asks` says that it takes requests as they are.
    pub(super) async fn connect(
        &self,
        origin: &BaseUrl,
        way: &Way,
        version: HttpVersion,
        proxy: Option<Through<'_>>,
    ) -> Result<Connected, Unconnected> {
        let is_h2 = version == HttpVersion::Http2;
        let tls = match self {
            Connector::Memory(memory) => {
                let mut stream = Stream::Memory(memory.open());
                if let Some(Through { proxy, asks: true }) = proxy {
                    proxy.open(&mut stream, origin).await?;
                }
                return Ok(Connected {
                    stream,
                    opening: Opening::default(),
                    is_h2,
                });
            }
            Connector::Net(tls) => tls,
        };
        let (stream, opening) = match proxy {
            None => {
                let Socketed { tcp, dns, connect } = way.open(&origin.host, origin.port).await?;
                (Stream::Tcp(tcp), (dns, connect))
            }
            Some(through) => through.open(tls, origin, way).await?,
        };
        let (dns, connect) = opening;
        let opening = Opening {
            dns,
            connect,
            tls: Duration::ZERO,
        };
        if !origin.tls {
            return Ok(Connected {
                stream,
                opening,
                is_h2,
            });
        }
        let began = Instant::now();
        let (stream, is_h2) = open_tls(tls, &origin.host, stream).await?;
        if version == HttpVersion::Http2 && !is_h2 {
            let why = format!("{} does not offer HTTP/2", origin.host);
            return Err(Failure::new(FailureKind::Connect, why).into());
        }
        Ok(Connected {
            stream,
            opening: Opening {
                tls: began.elapsed(),
                ..opening
            },
            is_h2,
        })
    }
}

/// The proxy on the way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Through<'p> {
    pub(super) proxy: &'p Proxy,
    /// Whether it is asked for a way to the origin, rather than given requests for it.
    pub(super) asks: bool,
}

impl Through<'_> {
    /// Connects to the proxy and asks it for the way; all but the name look-up counts as
    /// connecting.
    async fn open(
        self,
        tls: &Arc<rustls::ClientConfig>,
        origin: &BaseUrl,
        way: &Way,
    ) -> Result<(Stream, (Duration, Duration)), Unconnected> {
        let Through { proxy, asks } = self;
        let Socketed { tcp, dns, connect } =
            way.open(proxy.host(), proxy.port())
                .await
                .map_err(|none| Unconnected {
                    failure: on_the_way(none.failure, proxy),
                    ..none
                })?;
        let began = Instant::now();
        let mut stream = Stream::Tcp(tcp);
        if proxy.is_tls() {
            let tls = offering(tls, HttpVersion::Http1);
            let opened = open_tls(&tls, proxy.host(), stream).await;
            (stream, _) = opened.map_err(|failure| on_the_way(failure, proxy))?;
        }
        if asks {
            proxy.open(&mut stream, origin).await?;
        }
        Ok((stream, (dns, connect + began.elapsed())))
    }
}

/// A failure that is about the proxy and not the origin.
fn on_the_way(failure: Failure, proxy: &Proxy) -> Failure {
    let message = format!("no way to the proxy {proxy}: {}", failure.message);
    Failure { message, ..failure }
}

/// The same settings, which offer this version of HTTP. What sessions can be resumed with is
/// shared by all copies.
fn offering(tls: &rustls::ClientConfig, version: HttpVersion) -> Arc<rustls::ClientConfig> {
    let mut tls = tls.clone();
    tls.alpn_protocols = protocols(version);
    Arc::new(tls)
}

/// Speaks TLS with a host over a stream; whether both are to speak HTTP/2.
async fn open_tls(
    config: &Arc<rustls::ClientConfig>,
    host: &str,
    stream: Stream,
) -> Result<(Stream, bool), Failure> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        let why = format!("{host} is no name that a certificate can have");
        misfit(why)
    })?;
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
    let is_h2 = |session: &rustls::ClientConnection| session.alpn_protocol() == Some(H2);
    match stream {
        Stream::Tcp(tcp) => {
            let tls = connector.connect(name, tcp).await;
            let tls = tls.map_err(|error| no_tls(host, &error))?;
            let is_h2 = is_h2(tls.get_ref().1);
            Ok((Stream::Tls(Box::new(tls)), is_h2))
        }
        // A proxy that speaks TLS itself carries another one.
        inner @ (Stream::Tls(_) | Stream::Nested(_) | Stream::Memory(_)) => {
            let tls = connector.connect(name, inner).await;
            let tls = tls.map_err(|error| no_tls(host, &error))?;
            let is_h2 = is_h2(tls.get_ref().1);
            Ok((Stream::Nested(Box::new(tls)), is_h2))
        }
    }
}

fn no_tls(host: &str, error: &io::Error) -> Failure {
    let inner = error
        .get_ref()
        .and_then(|e| e.downcast_ref::<rustls::Error>());
    let why = format!("no TLS with {host}: {error}");
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => misfit(why),
        _ => Failure::new(FailureKind::Connect, why),
    }
}

/// A certificate that does not fit.
fn misfit(message: String) -> Failure {
    Failure {
        provider_code: Some("certificate".to_owned()),
        ..Failure::new(FailureKind::Connect, message)
    }
}

/// A connected byte stream.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// TLS inside of that with a proxy.
    Nested(Box<TlsStream<Stream>>),
    Memory(DuplexStream),
}

/// Calls a method on whichever stream it is.
macro_rules! on_stream {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Tcp($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            Stream::Tls($stream) => {
                let $stream = Pin::new(&mut **$stream);
                $call
            }
            Stream::Nested($stream) => {
                let $stream = Pin::new(&mut **$stream);
                $call
            }
            Stream::Memory($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => stream.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
            Stream::Nested(stream) => stream.is_write_vectored(),
            Stream::Memory(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_shutdown(cx))
    }
}
