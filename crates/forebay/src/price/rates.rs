//! The rates of one model, and what tokens cost by them.
//!
//! Whole pico-dollars only, so that sums over many items are exact.

use crate::money::Usd;
use crate::outcome::Usage;

/// What one model's tokens cost, in dollars per token.
///
/// A rate that is `None` is the rate of the tokens' kind without it: cached input costs what
/// input costs. The default is free of charge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Price {
    /// An input token.
    pub input: Usd,
    /// An output token.
    pub output: Usd,
    /// An input token that is read from the provider's cache.
    pub cache_read: Option<Usd>,
    /// An input token that is written to the provider's cache (five minutes, or the only kind).
    pub cache_write: Option<Usd>,
    /// An input token that is written to the provider's one-hour cache; as `cache_write` when
    /// `None`.
    pub cache_write_1h: Option<Usd>,
    /// An output token that is spent on reasoning.
    pub reasoning: Option<Usd>,
    /// One request, whatever its tokens.
    pub per_request: Option<Usd>,
    /// The rates of large requests, smallest first.
    pub tiers: Vec<Tier>,
}

/// The rates of requests above a size; they hold for the whole request.
///
/// Reasoning tokens of such a request cost what output tokens do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// A request with more input tokens than this has these rates.
    pub above_input_tokens: u64,
    /// As [`Price::input`].
    pub input: Usd,
    /// As [`Price::output`].
    pub output: Usd,
    /// As [`Price::cache_read`].
    pub cache_read: Option<Usd>,
    /// As [`Price::cache_write`].
    pub cache_write: Option<Usd>,
    /// As [`Price::cache_write_1h`].
    pub cache_write_1h: Option<Usd>,
}

impl Price {
    /// What a request with this usage costs.
    ///
    /// Counts that contradict each other never make a negative cost: parts that exceed the whole
    /// are all charged.
    pub fn cost(&self, usage: &Usage) -> Usd {
        let rates = self.rates_for(usage.input_tokens);
        let read = usage.cached_input_tokens;
        let write = usage.cache_write_tokens;
        let write_1h = usage.cache_write_1h_tokens;
        let reasoning = usage.reasoning_tokens;
        let plain = usage
            .input_tokens
            .saturating_sub(read)
            .saturating_sub(write)
            .saturating_sub(write_1h);
        self.per_request.unwrap_or(Usd::ZERO)
            + rates.input.times(plain)
            + rates.cache_read.times(read)
            + rates.cache_write.times(write)
            + rates.cache_write_1h.times(write_1h)
            + rates
                .output
                .times(usage.output_tokens.saturating_sub(reasoning))
            + rates.reasoning.times(reasoning)
    }

    /// The most that a request of at most this size can cost.
    ///
    /// Every token counts at the highest rate that could apply to it: those of any tier up to
    /// `input_tokens`, cache writes included.
    pub fn worst_case(&self, input_tokens: u64, output_tokens: u64) -> Usd {
        let tiers = self
            .tiers
            .iter()
            .filter(|tier| tier.above_input_tokens < input_tokens)
            .map(Rates::of_tier);
        let (mut input, mut output) = (Usd::ZERO, Usd::ZERO);
        for rates in tiers.chain([Rates::of_base(self)]) {
            input = input
                .max(rates.input)
                .max(rates.cache_read)
                .max(rates.cache_write)
                .max(rates.cache_write_1h);
            output = output.max(rates.output).max(rates.reasoning);
        }
        self.per_request.unwrap_or(Usd::ZERO)
            + input.times(input_tokens)
            + output.times(output_tokens)
    }

    /// The rates of a request with this many input tokens.
    fn rates_for(&self, input_tokens: u64) -> Rates {
        self.tiers
            .iter()
            .filter(|tier| tier.above_input_tokens < input_tokens)
            .max_by_key(|tier| tier.above_input_tokens)
            .map_or_else(|| Rates::of_base(self), Rates::of_tier)
    }
}

/// Rates with the absent ones filled in.
struct Rates {
    input: Usd,
    output: Usd,
    cache_read: Usd,
    cache_write: Usd,
    cache_write_1h: Usd,
    reasoning: Usd,
}

impl Rates {
    fn of_base(price: &Price) -> Rates {
        let cache_write = price.cache_write.unwrap_or(price.input);
        Rates {
            input: price.input,
            output: price.output,
            cache_read: price.cache_read.unwrap_or(price.input),
            cache_write,
            cache_write_1h: price.cache_write_1h.unwrap_or(cache_write),
            reasoning: price.reasoning.unwrap_or(price.output),
        }
    }

    fn of_tier(tier: &Tier) -> Rates {
        let cache_write = tier.cache_write.unwrap_or(tier.input);
        Rates {
            input: tier.input,
            output: tier.output,
            cache_read: tier.cache_read.unwrap_or(tier.input),
            cache_write,
            cache_write_1h: tier.cache_write_1h.unwrap_or(cache_write),
            reasoning: tier.output,
        }
    }
}
