//! When simulated people open and close their pages.
//!
//! Sessions follow a Weibull law of shape 0.5, most short and a few very long, as was measured of BitTorrent's peers (Stutzbach and
//! Rejaie, "Understanding churn in peer-to-peer networks", 2006); pauses are exponential. How much of the time a person is online is
//! drawn from a Beta law, so that a few are online for most of the day and most hardly ever, and who is online for longer has longer
//! sessions. Minimum session: five minutes.

use std::time::Duration;

use crate::proto::random::Random;

/// Shortest session in hours.
const SHORTEST: f64 = 5.0 / 60.0;

/// One node's habits.
#[derive(Debug, Clone)]
pub(super) struct Habit {
    /// Scale of the Weibull law, hours.
    scale: f64,
    /// Mean pause, hours.
    pause: f64,
    /// Part of the time that it is online.
    share: f64,
}

impl Habit {
    /// Draws the habits of somebody in a population with this mean share of the time online and this mean session in hours.
    pub(super) fn draw(random: &mut Random, share: f64, session: f64) -> Self {
        const SHAPE: f64 = 0.6;
        let own = beta(random, SHAPE, SHAPE * (1.0 - share) / share).clamp(0.003, 0.97);
        let mean = (session * (0.5 + 0.5 * own / share)).min(48.0);
        // The mean of a Weibull law of shape 0.5 is twice its scale.
        let scale = mean / 2.0;
        // That of the same law cut off below is larger; the pauses make up for it.
        let cut = (SHORTEST / scale).sqrt();
        let real = SHORTEST + 2.0 * scale * (1.0 + cut) * (-cut).exp();
        Self {
            scale,
            pause: real * (1.0 - own) / own,
            share: own,
        }
    }

    pub(super) fn is_online(&self, random: &mut Random) -> bool {
        uniform(random) < self.share
    }

    pub(super) fn session(&self, random: &mut Random) -> Duration {
        let e = -uniform(random).ln();
        hours((self.scale * e * e).max(SHORTEST))
    }

    pub(super) fn pause(&self, random: &mut Random) -> Duration {
        exponential(random, self.pause)
    }
}

/// A time with this mean in hours.
pub(super) fn exponential(random: &mut Random, mean: f64) -> Duration {
    hours(-uniform(random).ln() * mean)
}

pub(super) fn hours(hours: f64) -> Duration {
    Duration::from_secs_f64((hours * 3600.0).min(1e9))
}

/// Above 0 and at most 1.
pub(super) fn uniform(random: &mut Random) -> f64 {
    ((random.bits() >> 11) + 1) as f64 / (1u64 << 53) as f64
}

fn beta(random: &mut Random, a: f64, b: f64) -> f64 {
    let (x, y) = (gamma(random, a), gamma(random, b));
    x / (x + y)
}

/// Marsaglia and Tsang, "A simple method for generating gamma variables", 2000.
fn gamma(random: &mut Random, shape: f64) -> f64 {
    if shape < 1.0 {
        return gamma(random, shape + 1.0) * uniform(random).powf(1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let turn = std::f64::consts::TAU * uniform(random);
        let x = (-2.0 * uniform(random).ln()).sqrt() * turn.cos();
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && uniform(random).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_laws_have_their_means() {
        let mut random = Random::new(3);
        let n = 20_000;
        let mean =
            |draw: &mut dyn FnMut() -> f64| (0..n).map(|_| draw()).sum::<f64>() / f64::from(n);
        let share = mean(&mut || beta(&mut random, 0.6, 11.4));
        assert!((0.047..0.053).contains(&share), "{share}");
        let wait = mean(&mut || exponential(&mut random, 12.0).as_secs_f64() / 3600.0);
        assert!((11.6..12.4).contains(&wait), "{wait}");
        let habit = Habit::draw(&mut random, 0.05, 0.4);
        let (on, off) = (
            mean(&mut || habit.session(&mut random).as_secs_f64()),
            mean(&mut || habit.pause(&mut random).as_secs_f64()),
        );
        let share = on / (on + off);
        assert!(
            (share / habit.share - 1.0).abs() < 0.15,
            "{share} {habit:?}"
        );
    }
}
