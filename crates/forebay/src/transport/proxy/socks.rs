//! A way through a SOCKS proxy, version 5 (RFC 1928), with user and password (RFC 1929).
//!
//! Owns the few bytes of the handshake. Never looks a name up: the proxy does.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Login, Proxy};
use crate::endpoint::BaseUrl;
use crate::outcome::Failure;
use crate::transport::connect::Stream;

const VERSION: u8 = 5;
/// Ways to say who asks (RFC 1928, section 3).
const NOBODY: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_WILL_DO: u8 = 0xff;
/// What is asked for: a connection (section 4).
const CONNECT: u8 = 1;
/// Kinds of addresses (section 5).
const V4: u8 = 1;
const NAME: u8 = 3;
const V6: u8 = 4;

pub(super) async fn open(
    proxy: &Proxy,
    stream: &mut Stream,
    origin: &BaseUrl,
) -> Result<(), Failure> {
    let gone = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => proxy.fails("ended the connection before it answered"),
        _ => proxy.fails(&format!("ended the connection: {error}")),
    };
    let wrong = || proxy.fails("gave an answer that is not SOCKS 5");
    let methods: &[u8] = match proxy.login {
        Some(_) => &[VERSION, 2, NOBODY, PASSWORD],
        None => &[VERSION, 1, NOBODY],
    };
    let chosen: [u8; 2] = ask(stream, methods).await.map_err(gone)?;
    match (chosen, &proxy.login) {
        ([VERSION, NOBODY], _) => {}
        ([VERSION, PASSWORD], Some(login)) => {
            let [_, status] = ask(stream, &log_in(login)).await.map_err(gone)?;
            if status != 0 {
                return Err(proxy.wants_login(&format!("code {status}")));
            }
        }
        ([VERSION, NONE_WILL_DO], _) => return Err(proxy.wants_login("no method will do")),
        _ => return Err(wrong()),
    }
    let request = request(origin).ok_or_else(|| proxy.refuses(origin, "the name is too long"))?;
    let [version, code, _, kind] = ask(stream, &request).await.map_err(gone)?;
    if version != VERSION {
        return Err(wrong());
    }
    match code {
        0 => {}
        2 => return Err(proxy.refuses(origin, "its rules do not allow it")),
        code => {
            let (host, port) = (&origin.host, origin.port);
            let what = format!("did not connect to {host}:{port} ({})", said(code));
            return Err(proxy.fails(&what));
        }
    }
    let address = match kind {
        V4 => 4,
        V6 => 16,
        NAME => usize::from(stream.read_u8().await.map_err(gone)?),
        _ => return Err(wrong()),
    };
    // Where it connected from, with a port; nobody needs to know.
    let mut from = vec![0; address + 2];
    stream.read_exact(&mut from).await.map_err(gone)?;
    Ok(())
}

/// Sends a message and reads so many bytes of what comes back.
async fn ask<const N: usize>(stream: &mut Stream, message: &[u8]) -> io::Result<[u8; N]> {
    stream.write_all(message).await?;
    stream.flush().await?;
    let mut answer = [0; N];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn log_in(login: &Login) -> Vec<u8> {
    let mut message = vec![1];
    for part in [&login.user, &login.password] {
        // No longer than a byte can say, which was looked at when it was read.
        message.push(part.len() as u8);
        message.extend_from_slice(part.as_bytes());
    }
    message
}

/// The request for a connection, unless the name is longer than it can say.
fn request(origin: &BaseUrl) -> Option<Vec<u8>> {
    let mut message = vec![VERSION, CONNECT, 0];
    match origin.host.parse() {
        Ok(IpAddr::V4(address)) => {
            message.push(V4);
            message.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            message.push(V6);
            message.extend_from_slice(&address.octets());
        }
        Err(_) => {
            message.extend_from_slice(&[NAME, u8::try_from(origin.host.len()).ok()?]);
            message.extend_from_slice(origin.host.as_bytes());
        }
    }
    message.extend_from_slice(&origin.port.to_be_bytes());
    Some(message)
}

/// What a code means (RFC 1928, section 6).
fn said(code: u8) -> String {
    let words = match code {
        1 => "something went wrong",
        3 => "the network cannot be reached",
        4 => "the host cannot be reached",
        5 => "the connection was refused",
        6 => "it took too many steps",
        7 => "it makes no connections",
        8 => "it does not know such addresses",
        _ => return format!("code {code}"),
    };
    words.to_owned()
}
