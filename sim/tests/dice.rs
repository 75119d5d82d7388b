//! The dice are uniform, and those of neighbours have nothing to do with each other.
//!
//! Neighbours are what an engine makes in quantity: ids that differ in one bit or by one, the next purpose, the next
//! die of one purpose, the next seed. The thresholds are those that a fair die would cross less than once in ten
//! million tests; the seeds are fixed, so a test that holds once holds always.

mod common;

use std::collections::BTreeMap;

use common::{Die, Happening, Notes, Trace, Word, one_millisecond_apart, scripted};
use snowglobe_sim::{Context, Dice, EventId, NodeId, Purpose, Ratio};

/// Pearson's statistic of counts that should be alike, times 1,000.
fn chi_square(counts: &[u64]) -> u64 {
    let total: u64 = counts.iter().sum();
    let cells = counts.len() as u64;
    assert!(total / cells >= 50, "{total} throws are too few for {cells} cells");
    let squares: u128 = counts.iter().map(|count| u128::from((count * cells).abs_diff(total)).pow(2)).sum();
    (squares * 1_000 / u128::from(cells) / u128::from(total)) as u64
}

/// For 256 cells the statistic has mean 255 and deviation 22.6; both tails are cut at about 5.5 deviations, where the
/// upper one is the heavier.
fn assert_fair_256(counts: &[u64], of: &str) {
    assert_eq!(counts.len(), 256);
    let statistic = chi_square(counts);
    assert!((150_000..400_000).contains(&statistic), "{of}: chi-square {statistic}/1000 with 255 degrees");
}

/// Each of the eight bytes of many throws.
fn assert_uniform(throws: impl Iterator<Item = u64>, of: &str) {
    let mut counts = vec![vec![0; 256]; 8];
    for bits in throws {
        for (byte, counts) in bits.to_le_bytes().into_iter().zip(&mut counts) {
            counts[usize::from(byte)] += 1;
        }
    }
    for (byte, counts) in counts.iter().enumerate() {
        assert_fair_256(counts, &format!("byte {byte} of {of}"));
    }
}

/// Each of the sixteen nibbles of a throw together with the same nibble of its neighbour's.
fn assert_independent(pairs: impl Iterator<Item = (u64, u64)>, of: &str) {
    let mut counts = vec![vec![0; 256]; 16];
    for (a, b) in pairs {
        for (nibble, counts) in counts.iter_mut().enumerate() {
            let of_both = (a >> (4 * nibble) & 15) << 4 | (b >> (4 * nibble) & 15);
            counts[of_both as usize] += 1;
        }
    }
    for (nibble, counts) in counts.iter().enumerate() {
        assert_fair_256(counts, &format!("nibble {nibble} of {of}"));
    }
}

/// Ids as runs derive them: boots, sends, deliveries, timers, notes of a broadcast that is answered.
fn derived_ids() -> Vec<EventId> {
    let script = |ctx: &mut Context<Word>, round: &mut u64, happening: Happening| match happening {
        Happening::Start | Happening::Timer(_) if ctx.node() == NodeId(0) => {
            (0..200).for_each(|peer| {
                ctx.send(NodeId(peer), Word("ask", *round));
            });
            *round += 1;
            if *round < 80 {
                ctx.set_timer("again", 1);
            }
        }
        Happening::Message(from, Word("ask", round)) => {
            ctx.send(from, Word("answer", round));
        }
        _ => {}
    };
    let mut trace = Trace::default();
    scripted(one_millisecond_apart(200), 1, script).run(&mut trace);
    trace.0.iter().map(|entry| entry.stamp.id).collect()
}

fn sequential_ids() -> impl Iterator<Item = EventId> {
    (0..40_000).map(EventId)
}

#[test]
fn every_byte_of_the_dice_is_uniform_over_sequential_and_over_derived_ids() {
    let derived = derived_ids();
    assert!(derived.len() > 60_000, "{}", derived.len());
    for seed in [0, 1, u64::MAX] {
        let dice = Dice::new(seed);
        for purpose in [Purpose::LOSS, Purpose::PROCESS.nth(3), Purpose::DELAY] {
            let throw = |id: EventId| dice.of(id).bits(purpose);
            assert_uniform(sequential_ids().map(throw), "sequential ids");
            assert_uniform(derived.iter().copied().map(throw), "derived ids");
        }
    }
}

#[test]
fn derived_ids_are_themselves_uniform() {
    assert_uniform(derived_ids().into_iter().map(|id| id.0), "derived ids as numbers");
}

#[test]
fn dice_are_uniform_over_purposes_over_the_nth_of_one_purpose_and_over_seeds() {
    let event = Dice::new(7).of(EventId::boot(NodeId(3), 0));
    assert_uniform((0..40_000).map(|purpose| event.bits(Purpose(purpose))), "purposes");
    assert_uniform((0..40_000).map(|n| event.bits(Purpose::PROCESS.nth(n))), "the nth die");
    let id = EventId::invoke(NodeId(1), 0, 5);
    assert_uniform((0..40_000).map(|seed| Dice::new(seed).of(id).bits(Purpose::LOSS)), "seeds");
}

#[test]
fn the_dice_of_neighbouring_ids_are_independent() {
    let dice = Dice::new(11);
    let throw = |id: u64| dice.of(EventId(id)).bits(Purpose::LOSS);
    assert_independent((0..40_000).map(|id| (throw(id), throw(id + 1))), "id and id + 1");
    for bit in [0, 1, 7, 31, 32, 56, 63] {
        let pairs = (0..40_000).map(|id| (throw(id * 2), throw((id * 2) ^ (1 << bit))));
        assert_independent(pairs, &format!("id and id with bit {bit} flipped"));
    }
    let derived = derived_ids();
    let pairs = derived.iter().zip(&derived[1..]).map(|(a, b)| (throw(a.0), throw(b.0)));
    assert_independent(pairs, "an event and the next one");
}

#[test]
fn the_dice_of_neighbouring_purposes_are_independent() {
    let dice = Dice::new(12);
    for purpose in 1..24 {
        let pairs = (0..20_000).map(|id| {
            let event = dice.of(EventId(id));
            (event.bits(Purpose(purpose)), event.bits(Purpose(purpose + 1)))
        });
        assert_independent(pairs, &format!("purposes {purpose} and {}", purpose + 1));
    }
    let nth = (0..40_000).map(|n| {
        let event = dice.of(EventId(n));
        (event.bits(Purpose::PROCESS.nth(0)), event.bits(Purpose::PROCESS.nth(1)))
    });
    assert_independent(nth, "the first and second die of a purpose");
    let event = dice.of(EventId(5));
    let run =
        (0..40_000).map(|n| (event.bits(Purpose::PROCESS.nth(n)), event.bits(Purpose::PROCESS.nth(n + 1))));
    assert_independent(run, "each die of a purpose and the next");
}

#[test]
fn the_dice_of_neighbouring_seeds_are_independent() {
    let throw = |seed: u64, id: u64| Dice::new(seed).of(EventId(id)).bits(Purpose::DELAY);
    assert_independent((0..40_000).map(|seed| (throw(seed, 9), throw(seed + 1, 9))), "seed and seed + 1");
    let (one, two) = (Dice::new(1), Dice::new(2));
    let pairs = (0..40_000)
        .map(|id| (one.of(EventId(id)).bits(Purpose::DELAY), two.of(EventId(id)).bits(Purpose::DELAY)));
    assert_independent(pairs, "two seeds over many ids");
}

/// Flips each of the lowest input bits many times and counts how often each output bit follows.
fn assert_avalanche(bits: u32, throw: impl Fn(u64) -> u64, of: &str) {
    const THROWS: u64 = 4_096;
    const DEVIATION: u64 = 32;
    let mut die = Die(99);
    for input in 0..bits {
        let mut flips = [0_u64; 64];
        for _ in 0..THROWS {
            let at = die.next();
            let changed = throw(at) ^ throw(at ^ 1 << input);
            for (output, flips) in flips.iter_mut().enumerate() {
                *flips += changed >> output & 1;
            }
        }
        for (output, flips) in flips.iter().enumerate() {
            let off = flips.abs_diff(THROWS / 2);
            assert!(
                off < 6 * DEVIATION,
                "{of}: input bit {input} flips output bit {output} {flips} times of {THROWS}"
            );
        }
    }
}

#[test]
fn every_bit_of_an_id_a_purpose_and_a_seed_flips_every_output_bit_half_of_the_time() {
    let dice = Dice::new(3);
    assert_avalanche(64, |id| dice.of(EventId(id)).bits(Purpose::LOSS), "id");
    let event = dice.of(EventId(77));
    // 16 bits for what is decided, and 32 for which of its kind.
    assert_avalanche(48, |purpose| event.bits(Purpose(purpose)), "purpose");
    assert_avalanche(64, |seed| Dice::new(seed).of(EventId(77)).bits(Purpose::LOSS), "seed");
}

#[test]
fn below_is_uniform_and_chance_comes_true_as_often_as_it_says() {
    let dice = Dice::new(21);
    for bound in [2, 3, 7, 10, 100] {
        let mut counts = vec![0; bound as usize];
        for id in sequential_ids() {
            counts[dice.of(id).below(Purpose::DELAY, bound) as usize] += 1;
        }
        // Mean bound - 1, deviation sqrt(2 * bound): 8 deviations for the few, fewer for the many.
        let (statistic, most) = (chi_square(&counts), (bound - 1 + 30 + bound) * 1_000);
        assert!(statistic < most, "below {bound}: {statistic}/1000");
    }
    assert_eq!(dice.of(EventId(1)).below(Purpose::DELAY, 0), 0);
    assert_eq!(dice.of(EventId(1)).below(Purpose::DELAY, 1), 0);
    for (num, den) in [(1, 2), (1, 3), (1, 10), (9, 10), (1, 100), (333, 1_000)] {
        let ratio = Ratio::new(num, den);
        let hits = sequential_ids().filter(|id| dice.of(*id).chance(Purpose::LOSS, ratio)).count() as u64;
        let (num, den) = (u64::from(num), u64::from(den));
        let expected = 40_000 * num / den;
        // The variance is n p (1 - p); 5.5 deviations squared are 30 variances.
        let variance = 40_000 * num * (den - num) / (den * den);
        assert!(hits.abs_diff(expected).pow(2) <= 30 * variance, "{num}/{den}: {hits} of 40000");
    }
    assert!(sequential_ids().all(|id| dice.of(id).chance(Purpose::LOSS, Ratio::ONE)));
    assert!(!sequential_ids().any(|id| dice.of(id).chance(Purpose::LOSS, Ratio::ZERO)));
    assert!(!sequential_ids().any(|id| dice.of(id).chance(Purpose::LOSS, Ratio::percent(0))));
}

#[test]
fn a_process_draws_the_same_dice_from_the_same_event_and_others_at_each_call() {
    let draws = |seed| {
        let mut notes = Notes::default();
        let script = |ctx: &mut Context<Word>, _: &mut u64, _| {
            let draws = [ctx.random(), ctx.random(), ctx.random_below(1 << 40)];
            ctx.note(format!("{draws:?}"));
        };
        scripted(one_millisecond_apart(2), seed, script).run(&mut notes);
        let mut words: Vec<_> = notes.0.into_iter().map(|(.., words)| words).collect();
        words.sort();
        words
    };
    assert_eq!(draws(5), draws(5));
    let mut all: Vec<String> = (0..50).flat_map(draws).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 100, "two nodes under fifty seeds draw a hundred different things");
}

/// Who of nodes 1 to `peers` hears first what node 0 says to all of them at once, in this order of saying.
fn order_of_arrival(seed: u64, said: &'static [u32]) -> Vec<u32> {
    let mut notes = Notes::default();
    let script = move |ctx: &mut Context<Word>, _: &mut u64, happening| match happening {
        Happening::Start if ctx.node() == NodeId(0) => {
            for peer in said {
                ctx.send(NodeId(*peer), Word("all", 0));
            }
        }
        Happening::Message(..) => {
            ctx.note("heard".to_owned());
        }
        _ => {}
    };
    scripted(one_millisecond_apart(5), seed, script).run(&mut notes);
    notes.0.iter().map(|(_, node, _)| *node).collect()
}

#[test]
fn simultaneous_events_come_in_every_order_equally_often() {
    let mut orders: BTreeMap<Vec<u32>, u64> = BTreeMap::new();
    for seed in 0..4_800 {
        *orders.entry(order_of_arrival(seed, &[1, 2, 3, 4])).or_default() += 1;
    }
    assert_eq!(orders.len(), 24);
    let counts: Vec<u64> = orders.into_values().collect();
    let statistic = chi_square(&counts);
    assert!((4_000..75_000).contains(&statistic), "chi-square {statistic}/1000 with 23 degrees");
}

#[test]
fn the_order_of_simultaneous_events_does_not_depend_on_the_order_of_their_making() {
    for seed in 0..200 {
        assert_eq!(
            order_of_arrival(seed, &[1, 2, 3, 4]),
            order_of_arrival(seed, &[4, 2, 1, 3]),
            "seed {seed}"
        );
    }
}

#[test]
fn which_of_two_simultaneous_events_is_first_says_nothing_about_the_next_instant() {
    // Each millisecond two timers fire together; which is first in one and in the next are counted together.
    let mut pairs = [0_u64; 4];
    for seed in 0..400 {
        let mut notes = Notes::default();
        let script = |ctx: &mut Context<Word>, _: &mut u64, happening| {
            if let Happening::Timer(label) = happening {
                ctx.note(label.word.to_owned());
            } else {
                for round in 1..=17 {
                    ctx.set_timer(("a", round), round);
                    ctx.set_timer(("b", round), round);
                }
            }
        };
        scripted(one_millisecond_apart(1), seed, script).run(&mut notes);
        let firsts: Vec<bool> = notes.of(0).chunks(2).map(|pair| pair[0] == "a").collect();
        assert_eq!(firsts.len(), 17);
        for both in firsts.windows(2) {
            pairs[usize::from(both[0]) * 2 + usize::from(both[1])] += 1;
        }
    }
    let statistic = chi_square(&pairs);
    assert!(statistic < 35_000, "chi-square {statistic}/1000 with 3 degrees: {pairs:?}");
}
