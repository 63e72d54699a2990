//! The bare loop, the whole job and reqwest, one after the other, round by round.

use crate::process::{Lap, measure};
use crate::server::Server;
use crate::subject::Run;
use crate::yardstick::{Client, Load};

/// Who takes turns over what.
pub(crate) struct Turns<'a> {
    /// The job, and what the others do as well.
    pub(crate) run: &'a Run<'a>,
    pub(crate) rows: usize,
    /// Events of each streamed answer; 0 for plain ones.
    pub(crate) events: usize,
    pub(crate) rounds: usize,
    /// How many of the three take part.
    pub(crate) clients: usize,
}

impl Turns<'_> {
    /// What each of them took, in their order.
    pub(crate) fn laps(&self, server: &Server) -> [Vec<Lap>; 3] {
        let load = |client| Load {
            client,
            http: self.run.http,
            port: self.run.port,
            requests: self.rows,
            in_flight: self.run.in_flight,
            events: self.events,
        };
        let mut laps: [Vec<Lap>; 3] = Default::default();
        for _ in 0..self.rounds {
            let mut job = self.run.anew();
            if self.events > 0 {
                job.arg("--stream");
            }
            let mut commands = [
                load(Client::Bare).command(),
                job,
                load(Client::Reqwest).command(),
            ];
            for (laps, command) in laps.iter_mut().zip(&mut commands).take(self.clients) {
                laps.push(Lap {
                    measured: measure(command, server.pid()),
                    requests: self.rows as f64,
                });
            }
        }
        laps
    }
}
