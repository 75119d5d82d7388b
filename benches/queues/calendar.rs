//! A calendar queue: Brown, Communications of the ACM 31(10), 1988. A year of days, each a sorted list; the number of days
//! follows that of the keys, and their length the distance between the next few.

use crate::pending::{Key, Order, time_of};

const DAYS_LEAST: usize = 16;
/// So many of the next keys say how long a day should be.
const SAMPLE: usize = 25;

pub(crate) struct Calendar {
    /// A power of two of them. Each in descending order, of this year and later ones.
    days: Vec<Vec<Key>>,
    /// A day is `1 << day_bits` nanoseconds.
    day_bits: u32,
    /// The present day, counted from the beginning of time.
    today: u64,
    keys: usize,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { days: vec![Vec::new(); DAYS_LEAST], day_bits: 20, today: 0, keys: 0 }
    }
}

impl Order for Calendar {
    #[inline]
    fn insert(&mut self, key: Key) {
        self.put(key);
        self.keys += 1;
        if self.keys > 2 * self.days.len() {
            self.resize(2 * self.days.len());
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<Key> {
        if self.keys == 0 {
            return None;
        }
        let key = self.next();
        self.keys -= 1;
        if self.keys < self.days.len() / 2 && self.days.len() > DAYS_LEAST {
            self.resize(self.days.len() / 2);
        }
        Some(key)
    }

    fn retain(&mut self, mut keep: impl FnMut(Key) -> bool) {
        self.days.iter_mut().for_each(|day| day.retain(|key| keep(*key)));
        self.keys = self.days.iter().map(Vec::len).sum();
    }
}

impl Calendar {
    #[inline]
    fn put(&mut self, key: Key) {
        let at = self.place(self.day_of(key));
        let day = &mut self.days[at];
        let place = day.partition_point(|other| *other > key);
        day.insert(place, key);
    }

    /// Takes out the first key, which there is, day by day; after a year without any, all days are asked for their first.
    #[inline]
    fn next(&mut self) -> Key {
        let year = self.today..self.today + self.days.len() as u64;
        for today in year {
            let at = self.place(today);
            if let Some(key) = self.days[at].pop_if(|key| time_of(*key) >> self.day_bits == today) {
                self.today = today;
                return key;
            }
        }
        let least = self.days.iter().filter_map(|day| day.last()).min().expect("there are keys");
        self.today = self.day_of(*least);
        let at = self.place(self.today);
        self.days[at].pop().expect("it is there")
    }

    #[cold]
    fn resize(&mut self, days: usize) {
        let mut keys: Vec<Key> = self.days.drain(..).flatten().collect();
        keys.sort_unstable_by(|a, b| b.cmp(a));
        // The present moment, which no key is before.
        let now = self.today << self.day_bits;
        self.day_bits = day_bits(&keys).unwrap_or(self.day_bits);
        self.today = now >> self.day_bits;
        self.days.resize(days, Vec::new());
        for key in keys {
            let at = self.place(self.day_of(key));
            self.days[at].push(key);
        }
    }

    #[inline]
    fn day_of(&self, key: Key) -> u64 {
        time_of(key) >> self.day_bits
    }

    #[inline]
    fn place(&self, day: u64) -> usize {
        day as usize & (self.days.len() - 1)
    }
}

/// Three times the mean distance between the next keys, those left out that are far apart; rounded up to a power of two.
fn day_bits(descending: &[Key]) -> Option<u32> {
    let next: Vec<u64> = descending.iter().rev().take(SAMPLE).map(|key| time_of(*key)).collect();
    let distances = || next.windows(2).map(|pair| pair[1] - pair[0]);
    let mean = distances().sum::<u64>().checked_div(distances().count() as u64)?;
    let near = || distances().filter(|distance| *distance <= 2 * mean);
    let mean = near().sum::<u64>().checked_div(near().count() as u64)?;
    Some((3 * mean).max(1).next_power_of_two().ilog2())
}
