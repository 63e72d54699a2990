//! One rate as arithmetic on times: the generic cell rate algorithm.

/// How much of a rate may be used ahead of time, in seconds.
///
/// Azure and Anthropic enforce limits per minute over windows of one to ten seconds, so a burst
/// stays below one second. Half a second also makes up for late timers.
pub(super) const BURST_S: f64 = 0.5;

/// A continuously refilled bucket.
///
/// In any window of `w` seconds at most `rate × (w + 0.5)` units plus one charge are let
/// through.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    /// Seconds that one unit takes up.
    unit_s: f64,
    /// The time, in seconds since the start, up to which the rate is used up.
    used_until_s: f64,
}

impl Bucket {
    /// A full bucket that refills `per_s` units a second.
    pub(super) fn new(per_s: f64) -> Bucket {
        Bucket {
            unit_s: 1.0 / per_s,
            used_until_s: 0.0,
        }
    }

    /// The same bucket with another rate: what it owes in units stays owed.
    pub(super) fn at_rate(&self, now_s: f64, per_s: f64) -> Bucket {
        let owed = (self.used_until_s - now_s) / self.unit_s;
        Bucket {
            unit_s: 1.0 / per_s,
            used_until_s: now_s + owed / per_s,
        }
    }

    /// The earliest time at which a charge of any size is let through, in seconds.
    ///
    /// A charge larger than the burst runs the bucket into debt rather than waiting for ever.
    pub(super) fn ready_at_s(&self) -> f64 {
        self.used_until_s - BURST_S
    }

    /// Takes `units` out of the bucket.
    pub(super) fn charge(&mut self, now_s: f64, units: f64) {
        self.used_until_s = self.used_until_s.max(now_s) + units * self.unit_s;
    }

    /// Corrects an earlier charge: gives back when `units` is negative.
    pub(super) fn correct(&mut self, units: f64) {
        self.used_until_s += units * self.unit_s;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_pass_at_the_rate_after_a_burst_of_half_a_second() {
        let mut bucket = Bucket::new(10.0);
        let mut sent = Vec::new();
        let mut now = 0.0;
        while sent.len() < 10 {
            now = bucket.ready_at_s().max(now);
            bucket.charge(now, 1.0);
            sent.push((now * 1000.0).round());
        }
        // Six at once (half a second's worth and one), then one each 100 ms.
        assert_eq!(sent, [0., 0., 0., 0., 0., 0., 100., 200., 300., 400.]);
    }

    #[test]
    fn a_large_charge_becomes_debt_and_a_refund_ends_it() {
        let mut bucket = Bucket::new(10.0);
        bucket.charge(0.0, 100.0);
        assert_eq!(bucket.ready_at_s(), 9.5);
        bucket.correct(-80.0);
        assert_eq!(bucket.ready_at_s(), 1.5);
    }

    #[test]
    fn what_is_owed_stays_owed_at_another_rate() {
        let mut bucket = Bucket::new(10.0);
        bucket.charge(4.0, 20.0);
        let slower = bucket.at_rate(5.0, 5.0);
        // Ten units are owed at 5 s, which take two seconds at the new rate.
        assert_eq!(slower.ready_at_s(), 7.0 - BURST_S);
        let idle = Bucket::new(10.0).at_rate(100.0, 1.0);
        assert!(idle.ready_at_s() <= 100.0, "{idle:?}");
    }

    #[test]
    fn what_was_not_used_is_not_saved_up() {
        let mut bucket = Bucket::new(10.0);
        bucket.charge(100.0, 1.0);
        assert!((bucket.ready_at_s() - 99.6).abs() < 1e-9);
    }
}
