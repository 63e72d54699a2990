//! Origins that are reached without a proxy.
//!
//! Owns how `NO_PROXY` is read. Never looks a name up: a range of addresses covers origins that
//! are written as addresses.

use std::net::IpAddr;

use crate::endpoint::BaseUrl;

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Except {
    place: Place,
    /// Any when there is none.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    All,
    /// A host and all below it.
    Host(String),
    /// Addresses whose first bits are the same.
    Range(IpAddr, u32),
}

impl Except {
    /// The entries of a list; what cannot be a host covers nothing.
    pub(super) fn list(text: &str) -> Vec<Except> {
        let entries = text.split([',', ' ']).map(str::trim);
        entries
            .filter(|entry| !entry.is_empty())
            .map(Except::parse)
            .collect()
    }

    fn parse(text: &str) -> Except {
        let (host, port) = split_port(text);
        let place = match host {
            "*" => Place::All,
            _ => match range(host) {
                Some((address, bits)) => Place::Range(address, bits),
                None => {
                    let host = host.strip_prefix('*').unwrap_or(host);
                    Place::Host(host.trim_matches('.').to_ascii_lowercase())
                }
            },
        };
        Except { place, port }
    }

    pub(super) fn covers(&self, origin: &BaseUrl) -> bool {
        let is_port = self.port.is_none_or(|port| port == origin.port);
        is_port
            && match &self.place {
                Place::All => true,
                Place::Host(host) => is_below(&origin.host, host),
                Place::Range(address, bits) => origin
                    .host
                    .parse()
                    .is_ok_and(|host| is_within(host, *address, *bits)),
            }
    }
}

/// Whether a host is this machine itself; `0.0.0.0` reaches it too, and servers that listen there
/// are often named so.
pub(super) fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback() || address.is_unspecified(),
        Err(_) => is_below(host, "localhost"),
    }
}

/// Whether a host is this one or below it.
fn is_below(host: &str, top: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    match host.strip_suffix(top) {
        Some(rest) => rest.is_empty() || rest.ends_with('.'),
        None => false,
    }
}

/// The port at the end of `host:port` and `[address]:port`; an address alone has none.
fn split_port(text: &str) -> (&str, Option<u16>) {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().ok())
        }
        _ => (text, None),
    };
    match port {
        Some(_) => (host.trim_matches(['[', ']']), port),
        None => (text.trim_matches(['[', ']']), None),
    }
}

fn range(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address.parse().ok()?, bits.parse().ok()?),
        None => (text.parse().ok()?, u32::MAX),
    };
    Some((address, bits))
}

fn is_within(host: IpAddr, net: IpAddr, bits: u32) -> bool {
    match (host, net) {
        (IpAddr::V4(host), IpAddr::V4(net)) => {
            let apart = host.to_bits() ^ net.to_bits();
            apart.leading_zeros() >= bits.min(u32::BITS)
        }
        (IpAddr::V6(host), IpAddr::V6(net)) => {
            let apart = host.to_bits() ^ net.to_bits();
            apart.leading_zeros() >= bits.min(u128::BITS)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}
