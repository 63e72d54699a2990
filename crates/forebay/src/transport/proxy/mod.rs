//! Proxies: which one stands between this machine and an origin, and what it is told.
//!
//! Owns their addresses and log-ins, and the origins that are reached without one. Never reads
//! the environment, never opens a socket, and never shows a log-in.
//!
//! ```text
//! https origin ─► CONNECT or SOCKS ─► bytes to the origin: TLS, then HTTP
//! http origin  ─► an HTTP proxy takes requests for it, with its whole address (HTTP/1.1)
//! ```

mod except;
mod socks;
mod tunnel;

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

use super::connect::Stream;
use crate::endpoint::BaseUrl;
use crate::error::Error;
use crate::outcome::{Failure, FailureKind};
use except::Except;

/// The proxies of requests, if any.
///
/// Default: none, whatever the environment says. Origins on this machine (`localhost`,
/// `127.0.0.1`, `::1`) are reached without one: what they are to a proxy is another machine.
///
/// ```
/// use forebay::endpoint::BaseUrl;
/// use forebay::transport::Proxies;
///
/// let proxies = Proxies::all("http://me:secret@proxy.example:3128")?;
/// let openai = BaseUrl::parse("https://api.openai.com/v1")?;
/// assert_eq!(proxies.shown(&openai).unwrap(), "http://proxy.example:3128");
/// assert!(proxies.shown(&BaseUrl::parse("http://localhost:8000/v1")?).is_none());
/// # Ok::<(), forebay::error::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    http: Option<Arc<Proxy>>,
    https: Option<Arc<Proxy>>,
    except: Vec<Except>,
}

/// One proxy.
pub(super) struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    login: Option<Login>,
}

/// What is spoken with a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    Https,
    Socks5,
}

/// Who asks; never shown.
struct Login {
    user: String,
    password: String,
}

impl Proxies {
    /// The variables that [`Proxies::from_variables`] asks for; those in lower case count first.
    pub const VARIABLES: [&str; 8] = [
        "https_proxy",
        "HTTPS_PROXY",
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "no_proxy",
        "NO_PROXY",
    ];

    /// This proxy for all origins that are not on this machine:
    /// `http://[USER:PASSWORD@]HOST[:PORT]`, likewise `https`, `socks5` or `socks5h`.
    ///
    /// Without a scheme it is `http`; without a port 80, 443 or 1080. A percent sign and two
    /// digits stand for a character of user or password. The names of origins are the proxy's to
    /// look up, with both spellings of SOCKS.
    ///
    /// # Errors
    /// When it is no such URL; the message does not repeat user and password.
    pub fn all(url: &str) -> Result<Proxies, Error> {
        let proxy = Arc::new(Proxy::parse(url)?);
        Ok(Proxies {
            http: Some(Arc::clone(&proxy)),
            https: Some(proxy),
            except: Vec::new(),
        })
    }

    /// The proxies that variables name as many programs understand them: `HTTPS_PROXY` for
    /// origins with TLS, `HTTP_PROXY` for the others, `ALL_PROXY` for both, and `NO_PROXY` for
    /// what is reached without one: hosts with all below them, addresses, ranges such as
    /// `10.0.0.0/8`, each with a port if need be, separated by commas, or `*`.
    ///
    /// # Errors
    /// When one of them holds no URL of a proxy; the message does not repeat user and password.
    pub fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Proxies, Error> {
        let value = |lower: &'static str, upper: &'static str| {
            let told = |name| Some((name, read(name)?));
            told(lower).or_else(|| told(upper))
        };
        let proxy = |named: Option<(&'static str, String)>| match named {
            None => Ok(None),
            Some((name, url)) => {
                let proxy = Proxy::parse(&url).map_err(|error| error.at(&format!("in {name}")))?;
                Ok(Some(Arc::new(proxy)))
            }
        };
        let [
            https,
            upper_https,
            http,
            upper_http,
            all,
            upper_all,
            no,
            upper_no,
        ] = Proxies::VARIABLES;
        let all = proxy(value(all, upper_all))?;
        let except = value(no, upper_no).map(|(_, list)| Except::list(&list));
        Ok(Proxies {
            http: proxy(value(http, upper_http))?.or_else(|| all.clone()),
            https: proxy(value(https, upper_https))?.or(all),
            except: except.unwrap_or_default(),
        })
    }

    /// The proxy on the way to an origin, without its log-in: `http://HOST:PORT`.
    pub fn shown(&self, origin: &BaseUrl) -> Option<String> {
        self.serving(origin).map(|proxy| proxy.to_string())
    }

    /// The proxy on the way to an origin.
    pub(super) fn serving(&self, origin: &BaseUrl) -> Option<&Arc<Proxy>> {
        let is_direct = || except::is_loopback(&origin.host);
        let is_excepted = || self.except.iter().any(|except| except.covers(origin));
        match origin.tls {
            true => self.https.as_ref(),
            false => self.http.as_ref(),
        }
        .filter(|_| !is_direct() && !is_excepted())
    }
}

impl Proxy {
    fn parse(text: &str) -> Result<Proxy, Error> {
        let text = text.trim();
        let bad = |why: &str| {
            // All before an @ may be a password, wherever it stands.
            let shown = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
            Error::config(format!("proxy {shown:?} {why}"))
                .with_hint("write it like http://host:3128, http://user:password@host:3128 or socks5h://host:1080")
        };
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let kind = match &*scheme.to_ascii_lowercase() {
            "http" => Kind::Http,
            "https" => Kind::Https,
            "socks5" | "socks5h" => Kind::Socks5,
            _ => {
                return Err(bad(
                    "has a scheme other than http, https, socks5 and socks5h",
                ));
            }
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, rest),
        };
        let login = match login {
            Some(login) => Some(
                Login::parse(login)
                    .ok_or_else(|| bad("has a log-in that is cut off or too long"))?,
            ),
            None => None,
        };
        let place: http::uri::Authority = place.parse().map_err(|_| bad("is no URL of a proxy"))?;
        let host = place.host().trim_matches(['[', ']']);
        if host.is_empty() {
            return Err(bad("has no host"));
        }
        let own = match kind {
            Kind::Http => 80,
            Kind::Https => 443,
            // The port that IANA has for SOCKS.
            Kind::Socks5 => 1080,
        };
        let port = match place.as_str()[place.host().len()..].strip_prefix(':') {
            None => own,
            Some(digits) => match digits.parse() {
                Ok(port @ 1..) => port,
                _ => return Err(bad("has a port that is not a number from 1 to 65535")),
            },
        };
        Ok(Proxy {
            kind,
            host: host.to_owned(),
            port,
            login,
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Whether TLS is spoken with the proxy itself.
    pub(super) fn is_tls(&self) -> bool {
        self.kind == Kind::Https
    }

    /// Whether it takes requests for plain-http origins as they are, with the whole address in
    /// them. Squid as it is shipped opens no tunnels to ports other than 443, so that there is no
    /// other way through it.
    pub(super) fn forwards(&self) -> bool {
        match self.kind {
            Kind::Http | Kind::Https => true,
            Kind::Socks5 => false,
        }
    }

    /// The value of `Proxy-Authorization`.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        use base64::Engine as _;

        let Login { user, password } = self.login.as_ref()?;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        // Base64 fits into a header.
        let mut value = HeaderValue::try_from(format!("Basic {pair}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Asks it for the way to an origin; from then on the bytes are the origin's.
    pub(super) async fn open(&self, stream: &mut Stream, origin: &BaseUrl) -> Result<(), Failure> {
        match self.kind {
            Kind::Http | Kind::Https => tunnel::open(self, stream, origin).await,
            Kind::Socks5 => socks::open(self, stream, origin).await,
        }
    }

    /// It wants to know who asks, or does not believe it.
    pub(super) fn wants_login(&self, how: &str) -> Failure {
        let what = match self.login {
            Some(_) => "does not take the user and password that it was given",
            None => "wants a user and a password",
        };
        self.says_no("proxy_login", &format!("{what} ({how})"))
    }

    /// It may not or will not go to this origin.
    fn refuses(&self, origin: &BaseUrl, how: &str) -> Failure {
        let (host, port) = (&origin.host, origin.port);
        let what = format!("refuses to connect to {host}:{port} ({how})");
        self.says_no("proxy_refused", &what)
    }

    /// It tried, or it may be well later.
    fn fails(&self, what: &str) -> Failure {
        Failure::new(FailureKind::Connect, format!("the proxy {self} {what}"))
    }

    fn says_no(&self, code: &str, what: &str) -> Failure {
        Failure {
            provider_code: Some(code.to_owned()),
            ..self.fails(what)
        }
    }
}

impl Login {
    /// `USER:PASSWORD` as a URL has it. What SOCKS cannot carry is refused for all.
    fn parse(text: &str) -> Option<Login> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let part = |text| unescaped(text).filter(|part| part.len() <= usize::from(u8::MAX));
        Some(Login {
            user: part(user)?,
            password: part(password)?,
        })
    }
}

/// A text in which `%40` stands for `@`.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Https => "https",
            Kind::Socks5 => "socks5h",
        };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests;
