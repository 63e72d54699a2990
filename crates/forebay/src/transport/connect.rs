//! Opening connections: name resolution, TCP, TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::memory::MemoryConnector;
use crate::endpoint::BaseUrl;
use crate::error::Error;
use crate::outcome::{Failure, FailureKind};

/// How long one address of a name is tried before the next one: a route that leads nowhere must
/// not use up the whole deadline.
const PER_ADDRESS: Duration = Duration::from_secs(4);
/// Distance of two tries while the machine has no free descriptors or ports.
const EXHAUSTED_WAIT: Duration = Duration::from_millis(50);

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
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

impl Connector {
    pub(super) async fn connect(&self, origin: &BaseUrl) -> Result<Stream, Failure> {
        match self {
            Connector::Memory(memory) => Ok(Stream::Memory(memory.open())),
            Connector::Net(tls) => {
                let tcp = open_tcp(origin).await?;
                if origin.tls {
                    open_tls(tls, origin, tcp).await
                } else {
                    Ok(Stream::Tcp(tcp))
                }
            }
        }
    }
}

async fn open_tcp(origin: &BaseUrl) -> Result<TcpStream, Failure> {
    let (host, port) = (&*origin.host, origin.port);
    loop {
        let addresses = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| {
                let why = format!("the host name {host} cannot be resolved: {error}");
                coded(FailureKind::Connect, "dns", why)
            })?;
        let mut last = None;
        for address in addresses {
            let connected = timeout(PER_ADDRESS, TcpStream::connect(address)).await;
            match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(tcp) => {
                    // Requests are small and whole; waiting for more to send only delays them.
                    let _ = tcp.set_nodelay(true);
                    return Ok(tcp);
                }
                Err(error) => last = Some(error),
            }
        }
        match last {
            // Without free descriptors or ports, waiting helps; the connect deadline ends it.
            Some(error) if is_exhaustion(&error) => tokio::time::sleep(EXHAUSTED_WAIT).await,
            Some(error) => return Err(cannot_connect(host, port, &error.to_string())),
            None => return Err(cannot_connect(host, port, "the name has no address")),
        }
    }
}

fn cannot_connect(host: &str, port: u16, why: &str) -> Failure {
    let message = format!("cannot connect to {host}:{port}: {why}");
    Failure::new(FailureKind::Connect, message)
}

fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::EADDRNOTAVAIL)
    )
}

async fn open_tls(
    config: &Arc<rustls::ClientConfig>,
    origin: &BaseUrl,
    tcp: TcpStream,
) -> Result<Stream, Failure> {
    let host = &origin.host;
    let name = ServerName::try_from(host.clone()).map_err(|_| {
        let why = format!("{host} is no name that a certificate can have");
        coded(FailureKind::Connect, "certificate", why)
    })?;
    tokio_rustls::TlsConnector::from(Arc::clone(config))
        .connect(name, tcp)
        .await
        .map(|tls| Stream::Tls(Box::new(tls)))
        .map_err(|error| {
            let inner = error
                .get_ref()
                .and_then(|e| e.downcast_ref::<rustls::Error>());
            let why = format!("no TLS with {host}: {error}");
            match inner {
                Some(rustls::Error::InvalidCertificate(_)) => {
                    coded(FailureKind::Connect, "certificate", why)
                }
                _ => Failure::new(FailureKind::Connect, why),
            }
        })
}

fn coded(kind: FailureKind, code: &str, message: String) -> Failure {
    Failure {
        provider_code: Some(code.to_owned()),
        ..Failure::new(kind, message)
    }
}

/// A connected byte stream.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
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
