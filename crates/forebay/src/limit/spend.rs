//! The cap on cost, held with everything in flight.

use super::{LimitedBy, Refusal};
use crate::money::Usd;

/// What was spent, and what attempts in flight can still cost.
#[derive(Debug)]
pub struct Spend {
    cap: Option<Usd>,
    spent: Usd,
    reserved: Usd,
}

impl Spend {
    /// Nothing spent under this cap.
    pub fn new(cap: Option<Usd>) -> Spend {
        Spend {
            cap,
            spent: Usd::ZERO,
            reserved: Usd::ZERO,
        }
    }

    /// Whether an attempt that costs at most `worst` keeps the cap.
    ///
    /// # Errors
    /// A refusal until something settles; when nothing is in flight it is final.
    pub fn check(&self, worst: Option<Usd>) -> Result<(), Refusal> {
        let Some(cap) = self.cap else { return Ok(()) };
        match worst {
            Some(worst) if self.spent + self.reserved + worst <= cap => Ok(()),
            Some(_) | None => Err(Refusal {
                by: LimitedBy::Cost,
                until: None,
            }),
        }
    }

    /// Sets the worst cost of an attempt aside.
    pub fn reserve(&mut self, worst: Usd) {
        self.reserved += worst;
    }

    /// Replaces what was set aside by what was really spent.
    pub fn settle(&mut self, worst: Usd, actual: Usd) {
        self.reserved = self.reserved - worst;
        self.spent += actual;
    }

    /// Counts an amount that was spent elsewhere.
    pub fn add(&mut self, amount: Usd) {
        self.spent += amount;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_holds_with_everything_in_flight() {
        let usd = |n| Usd::from_picos(n);
        let mut spend = Spend::new(Some(usd(100)));
        spend.add(usd(10));
        assert!(spend.check(Some(usd(60))).is_ok());
        spend.reserve(usd(60));
        assert!(spend.check(Some(usd(60))).is_err());
        spend.settle(usd(60), usd(20));
        assert!(spend.check(Some(usd(60))).is_ok());
        assert!(
            spend.check(None).is_err(),
            "an unknown price cannot keep a cap"
        );
    }
}
