//! Draws at most one fault for a request.
//!
//! Owns the probabilities. Never touches a connection.

use crate::config::Faults;

/// A fault that struck.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Drawn {
    /// The connection is reset before the answer.
    Reset,
    /// The answer never comes.
    Stall,
    /// The answer is cut at this fraction of its bytes.
    Cut(f64),
    /// The answer is this status.
    Status(u16),
}

impl Drawn {
    /// Its name in the log: that of the catalogue, or its status.
    pub(crate) fn name(self) -> String {
        match self {
            Drawn::Reset => "reset".to_owned(),
            Drawn::Stall => "stall".to_owned(),
            Drawn::Cut(_) => "cut-mid-body".to_owned(),
            Drawn::Status(status) => status.to_string(),
        }
    }
}

impl Faults {
    /// Draws a fault, or none.
    pub(crate) fn draw(&self, rng: &mut fastrand::Rng) -> Option<Drawn> {
        let mut point = rng.f64();
        let mut strikes = |probability: f64| {
            let hit = point < probability;
            point -= probability.max(0.0);
            hit
        };
        if strikes(self.reset) {
            return Some(Drawn::Reset);
        }
        if strikes(self.stall) {
            return Some(Drawn::Stall);
        }
        if strikes(self.cut) {
            return Some(Drawn::Cut(rng.f64()));
        }
        let struck = self.error_rate.iter().find(|(_, rate)| strikes(*rate))?;
        Some(Drawn::Status(struck.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_strike_as_often_as_told() {
        let faults = Faults {
            error_rate: vec![(500, 0.2), (529, 0.1)],
            reset: 0.05,
            ..Faults::default()
        };
        let mut rng = fastrand::Rng::with_seed(7);
        let drawn: Vec<_> = (0..10_000).map(|_| faults.draw(&mut rng)).collect();
        let share = |fault| drawn.iter().filter(|d| **d == fault).count() as f64 / 10_000.0;
        assert!((share(Some(Drawn::Status(500))) - 0.2).abs() < 0.02);
        assert!((share(Some(Drawn::Status(529))) - 0.1).abs() < 0.02);
        assert!((share(Some(Drawn::Reset)) - 0.05).abs() < 0.01);
        assert!((share(None) - 0.65).abs() < 0.02);
    }

    #[test]
    fn no_faults_by_default() {
        let mut rng = fastrand::Rng::with_seed(7);
        assert_eq!(Faults::default().draw(&mut rng), None);
    }
}
