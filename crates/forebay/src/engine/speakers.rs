//! An endpoint in every dialect, for files that hold requests of several.

use crate::endpoint::{Dialect, Endpoint};

/// An endpoint as each dialect sees it: a file of other people's requests may hold several.
#[derive(Debug)]
pub(super) struct Speakers<'a> {
    own: &'a Endpoint,
    others: Vec<Endpoint>,
}

impl<'a> Speakers<'a> {
    pub(super) fn of(own: &'a Endpoint) -> Speakers<'a> {
        let others = Dialect::ALL.iter().map(|dialect| Endpoint {
            dialect: *dialect,
            ..own.clone()
        });
        Speakers {
            own,
            others: others.collect(),
        }
    }

    /// The endpoint that a request's answer is read with.
    pub(super) fn speaking(&self, dialect: Option<Dialect>) -> &Endpoint {
        let wanted = dialect.filter(|dialect| *dialect != self.own.dialect);
        wanted
            .and_then(|wanted| self.others.iter().find(|other| other.dialect == wanted))
            .unwrap_or(self.own)
    }
}
